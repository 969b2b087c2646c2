#include "core/checkpoint/model_config.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

using ::testing::HasSubstr;

// A Llama of 2 layers; `more` are further fields.
std::string Llama(const std::string& more = "",
                  const std::string& type = "llama") {
  return R"({"model_type":")" + type +
         R"(","num_hidden_layers":2,"hidden_size":64,)"
         R"("num_attention_heads":4,"num_key_value_heads":2)" +
         more + "}";
}

ModelConfig Parsed(const std::string& json) {
  const auto config = ParseModelConfig(json);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *config : ModelConfig{};
}

std::string Refusal(
    const std::string& json,
    absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const auto config = ParseModelConfig(json);
  EXPECT_EQ(config.status().code(), code) << json;
  return std::string(config.status().message());
}

// As published with Llama 3.1 8B, in part.
constexpr char kLlama31[] = R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false,
  "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009],
  "hidden_size": 4096, "intermediate_size": 14336,
  "max_position_embeddings": 131072, "model_type": "llama",
  "num_attention_heads": 32, "num_hidden_layers": 32,
  "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    "rope_type": "llama3"},
  "rope_theta": 500000.0, "tie_word_embeddings": false})";

TEST(ModelConfigTest, Llama31IsRead) {
  const ModelConfig config = Parsed(kLlama31);
  EXPECT_EQ(config.family, ModelFamily::kLlama);
  EXPECT_EQ(config.num_layers, 32);
  EXPECT_EQ(config.hidden_dim, 4096);
  EXPECT_EQ(config.num_q_heads, 32);
  EXPECT_EQ(config.num_kv_heads, 8);
  EXPECT_EQ(config.head_dim, 128);
  EXPECT_EQ(config.norm_epsilon, 1e-5);
  EXPECT_FALSE(config.has_window(0));
  ASSERT_TRUE(config.rope.has_value());
  EXPECT_EQ(config.rope->theta, 500000);
  EXPECT_EQ(config.rope->rotary_dim, 128);
  EXPECT_EQ(config.rope->scaling, RopeScaling::kLlama3);
  EXPECT_EQ(config.rope->factor, 8);
  EXPECT_EQ(config.rope->high_freq_factor, 4);
  EXPECT_EQ(config.rope->original_max_position, 8192);
}

TEST(ModelConfigTest, WhatIsMissingIsAsTransformersHasIt) {
  const ModelConfig config = Parsed(
      R"({"model_type":"llama","num_hidden_layers":1,"hidden_size":64,)"
      R"("num_attention_heads":4,"num_key_value_heads":null,"head_dim":null})");
  EXPECT_EQ(config.num_kv_heads, 4);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.rope->theta, 10000);
  EXPECT_EQ(config.rope->scaling, RopeScaling::kNone);
}

TEST(ModelConfigTest, RopeParametersOfVersion5AreRead) {
  const ModelConfig config =
      Parsed(Llama(R"(,"head_dim":32,"rope_parameters":{"rope_theta":1e6,)"
                   R"("rope_type":"yarn","factor":4.0,"beta_slow":2,)"
                   R"("original_max_position_embeddings":512,)"
                   R"("partial_rotary_factor":0.5})",
                   "qwen3"));
  EXPECT_EQ(config.rope->theta, 1e6);
  EXPECT_EQ(config.rope->rotary_dim, 16);
  EXPECT_EQ(config.rope->scaling, RopeScaling::kYarn);
  EXPECT_EQ(config.rope->beta_fast, 32);
  EXPECT_EQ(config.rope->beta_slow, 2);
  EXPECT_FALSE(config.rope->attention_factor.has_value());
}

TEST(ModelConfigTest, YarnsMagnitudeMayComeFromTwoScales) {
  const ModelConfig config =
      Parsed(Llama(R"(,"rope_scaling":{"type":"yarn","factor":40,"mscale":1.0,)"
                   R"("mscale_all_dim":1.0},"max_position_embeddings":4096)"));
  EXPECT_EQ(config.rope->attention_factor, 1.0);
  EXPECT_EQ(config.rope->original_max_position, 4096);
}

TEST(ModelConfigTest, WindowsAreThoseOfTheirLayers) {
  const ModelConfig mistral =
      Parsed(Llama(R"(,"sliding_window":8)", "mistral"));
  EXPECT_EQ(mistral.sliding_window, 8);
  EXPECT_TRUE(mistral.has_window(0));
  const std::string qwen = R"(,"sliding_window":8,"max_window_layers":1)";
  EXPECT_FALSE(Parsed(Llama(qwen, "qwen2")).sliding_window.has_value());
  const ModelConfig used =
      Parsed(Llama(qwen + R"(,"use_sliding_window":true)", "qwen2"));
  EXPECT_FALSE(used.has_window(0));
  EXPECT_TRUE(used.has_window(1));
  const ModelConfig typed = Parsed(
      Llama(qwen + R"(,"use_sliding_window":true,)"
                   R"("layer_types":["sliding_attention","full_attention"])",
            "qwen3"));
  EXPECT_TRUE(typed.has_window(0));
  EXPECT_FALSE(typed.has_window(1));
}

TEST(ModelConfigTest, BertAndGpt2AreRead) {
  const ModelConfig bert =
      Parsed(R"({"model_type":"bert","num_hidden_layers":6,"hidden_size":384,)"
             R"("num_attention_heads":12,"layer_norm_eps":1e-12})");
  EXPECT_EQ(bert.family, ModelFamily::kBert);
  EXPECT_EQ(bert.head_dim, 32);
  EXPECT_EQ(bert.num_kv_heads, 12);
  EXPECT_FALSE(bert.rope.has_value());
  const ModelConfig gpt2 =
      Parsed(R"({"model_type":"gpt2","n_layer":12,"n_embd":768,"n_head":12,)"
             R"("scale_attn_by_inverse_layer_idx":true})");
  EXPECT_EQ(gpt2.family, ModelFamily::kGpt2);
  EXPECT_EQ(gpt2.head_dim, 64);
  EXPECT_TRUE(gpt2.scales_by_head_dim);
  EXPECT_TRUE(gpt2.scales_by_layer);
}

TEST(ModelConfigTest, ErrorsNameFieldRuleAndValue) {
  EXPECT_EQ(Refusal(Llama(R"(,"head_dim":0)")),
            "head_dim must be an integer from 1 to 1048576; got 0");
  EXPECT_EQ(Refusal(R"({"model_type":"llama"})"),
            "num_hidden_layers must be an integer from 1 to 1048576; got "
            "nothing");
  EXPECT_THAT(Refusal(Llama(R"(,"rope_theta":"x")")),
              HasSubstr("rope_theta must be a number above 1; got \"x\""));
  EXPECT_EQ(Refusal(Llama(R"(,"rope_scaling":{"type":"linear"})")),
            "rope_scaling.factor must be a number above 1e-06; got nothing");
  EXPECT_THAT(Refusal(Llama(R"(,"rope_scaling":{"type":"llama3","factor":8,)"
                            R"("low_freq_factor":4,"high_freq_factor":4})")),
              HasSubstr("high_freq_factor must be a number above 4; got 4"));
  EXPECT_EQ(Refusal(Llama(R"(,"num_key_value_heads":3)")),
            "num_key_value_heads must divide num_attention_heads; got 3 and 4");
  EXPECT_THAT(
      Refusal(Llama(R"(,"sliding_window":8,"layer_types":[])", "mistral")),
      HasSubstr("layer_types must have a type for each layer"));
  EXPECT_THAT(Refusal(Llama(R"(,"partial_rotary_factor":0.05)")),
              HasSubstr("an even number of channels up to head_dim; got 0"));
  EXPECT_THAT(Refusal(Llama(R"(,"partial_rotary_factor":1e300)")),
              HasSubstr("channels up to head_dim; got 32 of 16"));
  for (const char* json : {"", "[]", "{", "7", R"({"model_type":7})"}) {
    Refusal(json);
  }
  Refusal(std::string(100000, '[') + std::string(100000, ']'));
}

TEST(ModelConfigTest, OtherModelsAreNotServed) {
  constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
  EXPECT_THAT(Refusal(Llama("", "mamba"), kUnimplemented), HasSubstr("mamba"));
  EXPECT_THAT(Refusal(Llama(R"(,"rope_scaling":{"type":"dynamic","factor":2})"),
                      kUnimplemented),
              HasSubstr("dynamic"));
  EXPECT_THAT(Refusal(Llama(R"(,"rope_parameters":{"full_attention":{}})"),
                      kUnimplemented),
              HasSubstr("full_attention"));
  EXPECT_THAT(Refusal(R"({"model_type":"bert","num_hidden_layers":1,)"
                      R"("hidden_size":8,"num_attention_heads":2,)"
                      R"("position_embedding_type":"relative_key"})",
                      kUnimplemented),
              HasSubstr("relative_key"));
}

}  // namespace
}  // namespace attn
