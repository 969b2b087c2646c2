// Attention layers, from checkpoints on disk through the engine, against the
// f64 reference, each element within its derived bound.
#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/layer_case.h"
#include "tests/support/layer_runner.h"
#include "tests/support/loaded_layer.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

struct NamedModel {
  std::string name;
  CheckpointOptions options;
};

RopeConfig Stretched(RopeScaling scaling) {
  return {.theta = 1000,
          .scaling = scaling,
          .factor = 4,
          .original_max_position = 32,
          .beta_fast = 4,
          .beta_slow = 1};
}

// Every family, and what its config.json may say. Odd sizes on purpose.
std::vector<NamedModel> Models() {
  CheckpointOptions base{.hidden_dim = 36, .num_q_heads = 6, .num_kv_heads = 3};
  const auto with = [&](const char* model_type, auto change) {
    CheckpointOptions options = base;
    options.model_type = model_type;
    change(options);
    return options;
  };
  using O = CheckpointOptions;
  const auto nothing = [](O&) {};
  return {
      {"llama", with("llama", nothing)},
      {"llama, biases", with("llama", [](O& o) { o.has_biases = true; })},
      {"llama, linear", with("llama",
                             [](O& o) {
                               o.rope = Stretched(RopeScaling::kLinear);
                               o.has_rope_parameters = true;
                             })},
      {"llama, llama3",
       with("llama", [](O& o) { o.rope = Stretched(RopeScaling::kLlama3); })},
      {"llama, yarn",
       with("llama", [](O& o) { o.rope = Stretched(RopeScaling::kYarn); })},
      {"llama, part of a head", with("llama",
                                     [](O& o) {
                                       o.rope.rotary_dim = 6;
                                       o.head_dim = 12;
                                     })},
      {"llama, large", with("llama",
                            [](O& o) {
                              o.hidden_dim = 300;
                              o.head_dim = 64;
                              o.num_files = 2;
                              o.has_other_prefix = true;
                            })},
      {"mistral", with("mistral", [](O& o) { o.window = 5; })},
      {"mistral, no window", with("mistral", nothing)},
      {"qwen2", with("qwen2", nothing)},
      {"qwen2, window", with("qwen2", [](O& o) { o.window = 1; })},
      {"qwen3", with("qwen3", nothing)},
      {"qwen3, yarn", with("qwen3",
                           [](O& o) {
                             o.rope = Stretched(RopeScaling::kYarn);
                             o.rope.truncate = false;
                             o.rope.attention_factor = 1.25;
                             o.norm_epsilon = 0.1;
                           })},
      {"bert", with("bert", nothing)},
      {"bert, prefix", with("bert", [](O& o) { o.has_other_prefix = true; })},
      {"gpt2", with("gpt2", nothing)},
      {"gpt2, by layer", with("gpt2", [](O& o) { o.scales_by_layer = true; })},
      {"gpt2, not by head_dim",
       with("gpt2", [](O& o) { o.scales_by_head_dim = false; })},
  };
}

struct NamedRequest {
  std::string name;
  LayerCaseOptions options;
};

std::vector<NamedRequest> Requests(bool has_rope) {
  using O = LayerCaseOptions;
  std::vector<NamedRequest> requests = {
      {"one token", O{.q_len = 1}},
      {"none", O{.q_len = 0}},
      {"many", O{.batch_size = 2, .q_len = 70}},
      {"batch", O{.batch_size = 3, .q_len = 9}},
      {"f16", O{.batch_size = 2, .dtype = DataType::kF16}},
      {"bf16", O{.batch_size = 2, .dtype = DataType::kBF16}},
      {"f16 to f32",
       O{.dtype = DataType::kF16, .output_dtype = DataType::kF32}},
      {"f32 to bf16", O{.output_dtype = DataType::kBF16}},
      {"bool mask", O{.batch_size = 2, .mask_dtype = DataType::kBool}},
      {"f32 mask", O{.batch_size = 2, .mask_dtype = DataType::kF32}},
      {"lengths", O{.batch_size = 3, .has_kv_lengths = true}},
      {"context", O{.batch_size = 2, .context_len = 13}},
      {"short context", O{.batch_size = 2, .q_len = 9, .context_len = 2}},
      {"empty context", O{.context_len = 0}},
      {"context, lengths and mask", O{.batch_size = 2,
                                      .context_len = 70,
                                      .mask_dtype = DataType::kF32,
                                      .has_kv_lengths = true}},
      {"no causality", O{.causal = CausalMode::kNone}},
      {"top left", O{.context_len = 5, .causal = CausalMode::kTopLeft}},
      {"bottom right",
       O{.context_len = 13, .causal = CausalMode::kBottomRight}},
      {"offset", O{.q_len = 4,
                   .context_len = 13,
                   .causal = CausalMode::kTopLeft,
                   .causal_offset = 7}},
  };
  if (!has_rope) return requests;
  requests.push_back(
      {"positions", O{.batch_size = 2, .q_len = 9, .has_positions = true}});
  requests.push_back({"positions of queries alone",
                      O{.context_len = 13, .has_positions = true}});
  return requests;
}

class LayerConformanceTest : public testing::Test {
 protected:
  ~LayerConformanceTest() override {
    std::printf("worst error: %.4f of its bound\n", worst_);
  }

  std::string Check(const LoadedLayer& tiny, const LayerCaseOptions& options) {
    const LayerCase made = MakeLayerCase(tiny.reference, options);
    const auto answer = runner_.Run(tiny.layer, made);
    if (!answer.ok()) return answer.status().ToString();
    return CompareWithBound(ForwardReference(tiny.reference, made.reference),
                            answer->Values(), &worst_);
  }

  // Hidden in pieces of `piece` tokens, one call each on a session.
  std::string CheckInPieces(const LoadedLayer& tiny, int64_t length,
                            int64_t piece, KvDtype kv_dtype, DataType rounded) {
    LayerCase whole = MakeLayerCase(tiny.reference, {.q_len = length});
    whole.reference.kv_dtype = rounded;
    const SessionPtr session = runner_.CreateSession(*tiny.layer, kv_dtype);
    std::vector<double> values;
    for (int64_t first = 0; first < length; first += piece) {
      const int64_t n = std::min(piece, length - first);
      const auto answer =
          runner_.Run(tiny.layer, CutRows(whole, first, n), session);
      if (!answer.ok()) return answer.status().ToString();
      if (answer->session_length != first + n) return "session_length";
      const std::vector<double> rows = answer->Values();
      values.insert(values.end(), rows.begin(), rows.end());
    }
    return CompareWithBound(ForwardReference(tiny.reference, whole.reference),
                            values, &worst_);
  }

  LayerRunner runner_;
  double worst_ = 0;
};

TEST_F(LayerConformanceTest, EveryFamilyInEveryFormat) {
  for (NamedModel& model : Models()) {
    for (const DataType stored :
         {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
      for (const WeightFormat format :
           {WeightFormat::kUnspecified, WeightFormat::kF32, WeightFormat::kF16,
            WeightFormat::kBF16, WeightFormat::kInt8}) {
        model.options.dtype = stored;
        const LoadedLayer tiny = LoadTiny(model.options, format, /*index=*/1);
        ASSERT_EQ(Check(tiny, {.batch_size = 2, .q_len = 11}), "")
            << model.name << " of " << DataTypeName(stored) << " as "
            << static_cast<int>(format);
      }
    }
  }
}

TEST_F(LayerConformanceTest, EveryRequestToEveryFamily) {
  for (const NamedModel& model : Models()) {
    const LoadedLayer tiny = LoadTiny(model.options);
    for (const NamedRequest& request :
         Requests(model.options.is_llama_like())) {
      ASSERT_EQ(Check(tiny, request.options), "")
          << model.name << ": " << request.name;
    }
  }
}

TEST_F(LayerConformanceTest, EveryRequestToOtherFormats) {
  for (const WeightFormat format :
       {WeightFormat::kF16, WeightFormat::kBF16, WeightFormat::kInt8}) {
    const LoadedLayer tiny = LoadTiny(Models().front().options, format);
    for (const NamedRequest& request : Requests(/*has_rope=*/true)) {
      ASSERT_EQ(Check(tiny, request.options), "") << request.name;
    }
  }
}

TEST_F(LayerConformanceTest, SessionsTokenByTokenEqualTheWhole) {
  for (const NamedModel& model : Models()) {
    const LoadedLayer tiny = LoadTiny(model.options);
    // A row of bert sees what comes behind it: in pieces it is another model.
    if (tiny.layer->causal == CausalMode::kNone) continue;
    for (const int64_t piece : {1, 7}) {
      ASSERT_EQ(CheckInPieces(tiny, Scaled(140, 70), piece, KvDtype::kF32,
                              DataType::kF32),
                "")
          << model.name << " in pieces of " << piece;
    }
  }
}

TEST_F(LayerConformanceTest, SessionsOfOtherDtypesRoundKeysAndValuesOnce) {
  const LoadedLayer tiny = LoadTiny(Models().front().options);
  ASSERT_EQ(CheckInPieces(tiny, 70, 3, KvDtype::kF16, DataType::kF16), "");
  ASSERT_EQ(CheckInPieces(tiny, 70, 3, KvDtype::kBF16, DataType::kBF16), "");
}

}  // namespace
}  // namespace attn::test
