#include "core/layer/layer_loader.h"

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/attention/rope_frequencies.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/random.h"
#include "tests/support/temporary_folder.h"

namespace attn {
namespace {

using test::CheckpointOptions;
using test::WrittenLayer;
using test::WrittenLinear;
using ::testing::HasSubstr;

constexpr int64_t kRows = 3;

std::vector<float> Numbers(int64_t n) {
  test::Random random(5);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = static_cast<float>(random.Gaussian());
  return values;
}

std::vector<float> Rounded(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

// "" or the first element that is off by more than gamma_n |w||x|.
std::string Compare(const Linear& linear, const WrittenLinear& written) {
  if (linear.in_dim() != written.in_dim ||
      linear.out_dim() != written.out_dim) {
    return "dimensions";
  }
  const std::vector<float> in = Numbers(kRows * written.in_dim);
  std::vector<float> out(static_cast<size_t>(kRows * written.out_dim));
  ScratchArena arena;
  for (int64_t b = 0; b < linear.num_blocks(); ++b) {
    if (!linear
             .MultiplyBlock(
                 b, kRows, {in.data(), written.in_dim},
                 {out.data() + b * linear.block_channels(), written.out_dim},
                 arena)
             .ok()) {
      return "failed";
    }
  }
  for (int64_t i = 0; i < std::ssize(out); ++i) {
    const int64_t row = i / written.out_dim, c = i % written.out_dim;
    double sum =
        written.bias.empty() ? 0 : written.bias[static_cast<size_t>(c)];
    double magnitude = std::fabs(sum);
    for (int64_t k = 0; k < written.in_dim; ++k) {
      const double term =
          in[static_cast<size_t>(row * written.in_dim + k)] *
          written.weights[static_cast<size_t>(c * written.in_dim + k)];
      sum += term;
      magnitude += std::fabs(term);
    }
    // One more for weights of F64, which are rounded.
    const double n = static_cast<double>(written.in_dim) + 3;
    const double bound = n * 0x1p-24 / (1 - n * 0x1p-24) * magnitude;
    const float got = out[static_cast<size_t>(i)];
    if (!(std::fabs(got - sum) <= bound)) {
      std::ostringstream text;
      text << "row " << row << ", channel " << c << ": " << got << ", expected "
           << sum;
      return text.str();
    }
  }
  return "";
}

class LayerLoaderTest : public testing::Test {
 protected:
  void Write(const CheckpointOptions& options) {
    written_ = test::WriteCheckpoint(options, folder_.path());
  }

  absl::StatusOr<std::unique_ptr<AttentionLayer>> Load(
      int64_t index, WeightFormat format = WeightFormat::kUnspecified) {
    auto checkpoint = Checkpoint::Open(folder_.path());
    if (!checkpoint.ok()) return checkpoint.status();
    const auto plan = PlanLayer(*checkpoint, index, format);
    if (!plan.ok()) return plan.status();
    auto layer = LoadLayer(*checkpoint, "model", *plan);
    if (layer.ok()) {
      EXPECT_EQ((*layer)->weight_bytes(), plan->bytes);
    }
    return layer;
  }

  // All layers have the weights that were written.
  void ExpectLoads(const CheckpointOptions& options) {
    Write(options);
    for (int64_t i = 0; i < options.num_layers; ++i) {
      const auto layer = Load(i);
      ASSERT_TRUE(layer.ok()) << layer.status();
      const WrittenLayer& written = written_[static_cast<size_t>(i)];
      EXPECT_EQ(Compare(*(*layer)->query, written.query), "") << i;
      EXPECT_EQ(Compare(*(*layer)->key, written.key), "") << i;
      EXPECT_EQ(Compare(*(*layer)->value, written.value), "") << i;
      EXPECT_EQ(Compare(*(*layer)->output, written.output), "") << i;
      EXPECT_EQ((*layer)->query_norm.weight, Rounded(written.query_norm));
      EXPECT_EQ((*layer)->key_norm.weight, Rounded(written.key_norm));
    }
  }

  std::string ReadAll() {
    std::ifstream file(folder_.At("model.safetensors"), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Replaces a text in the file by one of the same length.
  void Replace(const std::string& from, const std::string& to) {
    ASSERT_EQ(from.size(), to.size());
    std::string bytes = ReadAll();
    const size_t at = bytes.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    bytes.replace(at, from.size(), to);
    std::ofstream(folder_.At("model.safetensors"), std::ios::binary) << bytes;
  }

  // The message of a refused layer 0.
  std::string Refusal() {
    const auto layer = Load(0);
    EXPECT_EQ(layer.status().code(), absl::StatusCode::kInvalidArgument)
        << layer.status();
    return std::string(layer.status().message());
  }

  const test::TemporaryFolder folder_;
  std::vector<WrittenLayer> written_;
};

TEST_F(LayerLoaderTest, WeightsOfEveryFamilyAreFound) {
  for (const char* type :
       {"llama", "mistral", "qwen2", "qwen3", "bert", "gpt2"}) {
    for (const bool other_prefix : {false, true}) {
      SCOPED_TRACE(type);
      ExpectLoads({.model_type = type, .has_other_prefix = other_prefix});
    }
  }
}

TEST_F(LayerLoaderTest, EveryTypeIsRead) {
  for (const DataType dtype :
       {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
    SCOPED_TRACE(DataTypeName(dtype));
    ExpectLoads({.model_type = "qwen3", .dtype = dtype});
    ExpectLoads({.model_type = "gpt2", .dtype = dtype});
  }
}

TEST_F(LayerLoaderTest, BiasesOfLlamaAreOptional) {
  ExpectLoads({.model_type = "llama", .has_biases = true});
}

TEST_F(LayerLoaderTest, WeightsMayLieInSeveralFiles) {
  ExpectLoads({.model_type = "llama", .num_files = 3});
}

TEST_F(LayerLoaderTest, FormatIsThatOfTheWeightsUnlessAsked) {
  const std::vector<std::pair<DataType, WeightFormat>> stored = {
      {DataType::kF32, WeightFormat::kF32},
      {DataType::kF16, WeightFormat::kF16},
      {DataType::kBF16, WeightFormat::kBF16},
      {DataType::kF64, WeightFormat::kF32}};
  for (const auto& [dtype, format] : stored) {
    Write({.dtype = dtype});
    EXPECT_EQ((*Load(0))->format, format) << DataTypeName(dtype);
    EXPECT_EQ((*Load(0, WeightFormat::kInt8))->format, WeightFormat::kInt8);
  }
}

TEST_F(LayerLoaderTest, LayerIsDescribed) {
  Write({.model_type = "qwen3", .norm_epsilon = 1e-5});
  const auto layer = Load(1);
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ((*layer)->name, "model/1");
  EXPECT_EQ((*layer)->model_type, "qwen3");
  EXPECT_EQ((*layer)->index, 1);
  EXPECT_EQ((*layer)->hidden_dim, 32);
  EXPECT_EQ((*layer)->output_dim, 32);
  EXPECT_EQ((*layer)->num_q_heads, 4);
  EXPECT_EQ((*layer)->num_kv_heads, 2);
  EXPECT_EQ((*layer)->head_dim, 8);
  EXPECT_EQ((*layer)->query_norm.epsilon, 1e-5);
  EXPECT_EQ((*layer)->key_norm.epsilon, 1e-5);
}

TEST_F(LayerLoaderTest, RopeIsThatOfTheConfig) {
  const RopeConfig rope{.theta = 500, .rotary_dim = 8};
  Write({.rope = {.theta = 500}});
  const auto layer = Load(0);
  ASSERT_TRUE(layer.ok()) << layer.status();
  ASSERT_NE((*layer)->rope, nullptr);
  EXPECT_EQ((*layer)->rope->per_position,
            MakeRopeFrequencies(rope).per_position);
  for (const char* type : {"bert", "gpt2"}) {
    Write({.model_type = type});
    EXPECT_EQ((*Load(0))->rope, nullptr) << type;
  }
}

TEST_F(LayerLoaderTest, DecodersAreCausalEncodersAreNot) {
  for (const char* type : {"llama", "mistral", "qwen2", "qwen3", "gpt2"}) {
    Write({.model_type = type});
    EXPECT_EQ((*Load(0))->causal, CausalMode::kTopLeft) << type;
  }
  Write({.model_type = "bert"});
  EXPECT_EQ((*Load(0))->causal, CausalMode::kNone);
}

TEST_F(LayerLoaderTest, WindowIsOfTheLayersThatHaveOne) {
  Write({.model_type = "qwen2", .window = 7, .max_window_layers = 1});
  EXPECT_EQ((*Load(0))->window, 0);
  EXPECT_EQ((*Load(1))->window, 7);
}

TEST_F(LayerLoaderTest, ScaleIsThatOfTheFamily) {
  const double by_head_dim = 1 / std::sqrt(8.0);
  Write({.model_type = "llama"});
  EXPECT_EQ((*Load(1))->scale, by_head_dim);
  Write({.model_type = "gpt2", .scales_by_layer = true});
  EXPECT_EQ((*Load(0))->scale, by_head_dim);
  EXPECT_EQ((*Load(1))->scale, by_head_dim / 2);
  Write({.model_type = "gpt2", .scales_by_head_dim = false});
  EXPECT_EQ((*Load(1))->scale, 1);
}

TEST_F(LayerLoaderTest, MissingTensorsAreNamed) {
  Write({.model_type = "llama"});
  Replace("layers.0.self_attn.k_proj.weight",
          "layers.0.self_attn.x_proj.weight");
  EXPECT_THAT(Refusal(), HasSubstr("model.layers.0.self_attn.k_proj."
                                   "weight must be in the checkpoint"));
  Write({.model_type = "qwen3"});
  Replace("layers.0.self_attn.q_norm", "layers.0.self_attn.q_nrom");
  EXPECT_THAT(Refusal(), HasSubstr("q_norm.weight must be in"));
  Write({.model_type = "bert"});
  Replace("layer.0.attention.self.value.bias",
          "layer.0.attention.self.value.bais");
  EXPECT_THAT(Refusal(), HasSubstr("self.value.bias must be in"));
  Write({.model_type = "gpt2"});
  Replace("h.0.attn.c_attn.weight", "h.0.attn.c_attx.weight");
  EXPECT_THAT(Refusal(), HasSubstr("transformer.h.0.attn.c_attn.weight must"));
}

// What is there must be what config.json says.
TEST_F(LayerLoaderTest, ShapesAreChecked) {
  const std::vector<std::pair<std::string, std::string>> configs = {
      {"llama",
       "self_attn.k_proj.weight must have the shape [16, 32], as "
       "config.json says; got [32, 32]"},
      {"qwen3", "self_attn.k_proj.weight must have"}};
  for (const auto& [type, message] : configs) {
    Write({.model_type = type, .num_kv_heads = 4});
    const std::string weights = ReadAll();
    Write({.model_type = type, .num_kv_heads = 2});
    std::ofstream(folder_.At("model.safetensors"), std::ios::binary) << weights;
    EXPECT_THAT(Refusal(), HasSubstr(message));
  }
  for (const char* type : {"bert", "gpt2"}) {
    Write({.model_type = type, .hidden_dim = 64});
    const std::string weights = ReadAll();
    Write({.model_type = type});
    std::ofstream(folder_.At("model.safetensors"), std::ios::binary) << weights;
    EXPECT_THAT(Refusal(), HasSubstr("must have the shape [32, ")) << type;
  }
}

TEST_F(LayerLoaderTest, NormsHaveOneWeightAChannelOfAHead) {
  Write({.model_type = "qwen3", .num_q_heads = 2, .head_dim = 16});
  const std::string weights = ReadAll();
  Write({.model_type = "qwen3",
         .num_q_heads = 4,
         .num_kv_heads = 4,
         .head_dim = 8});
  std::ofstream(folder_.At("model.safetensors"), std::ios::binary) << weights;
  EXPECT_THAT(Refusal(), HasSubstr("q_norm.weight must have the shape [8]"));
}

TEST_F(LayerLoaderTest, OtherTypesAreRefusedByName) {
  Write({.model_type = "llama", .dtype = DataType::kF16});
  // The first F16 behind the name of the query's weights.
  std::string bytes = ReadAll();
  const size_t name = bytes.find("layers.0.self_attn.q_proj.weight");
  const size_t dtype = bytes.find("\"F16\"", name);
  ASSERT_NE(dtype, std::string::npos);
  bytes.replace(dtype, 5, "\"I16\"");
  std::ofstream(folder_.At("model.safetensors"), std::ios::binary) << bytes;
  EXPECT_THAT(Refusal(), HasSubstr("layers.0.self_attn.q_proj.weight must be "
                                   "F32, F16, BF16 or F64; got I16"));
}

}  // namespace
}  // namespace attn
