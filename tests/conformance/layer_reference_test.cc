// The reference of attention layers, which other tests stand on: its bound lets
// what f32 costs pass, and nothing that is wrong.
#include "tests/support/layer_reference.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "gtest/gtest.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/random.h"
#include "tests/support/rounding.h"
#include "tests/support/temporary_folder.h"

namespace attn::test {
namespace {

CheckpointOptions Family(const std::string& model_type) {
  CheckpointOptions options{.model_type = model_type};
  options.has_biases = true;
  if (model_type == "mistral") options.window = 5;
  return options;
}

RopeConfig Scaled(RopeScaling scaling) {
  return {.theta = 100,
          .scaling = scaling,
          .factor = 4,
          .original_max_position = 16,
          .beta_fast = 2,
          .beta_slow = 0.5};
}

LayerRequest RandomRequest(int64_t q_len, uint64_t seed = 7) {
  LayerRequest request{.batch_size = 2, .q_len = q_len};
  Random random(seed);
  for (int64_t i = 0; i < 2 * q_len * 32; ++i) {
    request.hidden.push_back(RoundedTo(DataType::kF32, random.Gaussian()));
  }
  return request;
}

// A layer and a request of a seed, and what comes of spoiling either.
class Spoiled {
 public:
  explicit Spoiled(const CheckpointOptions& options, int64_t index = 0,
                   WeightFormat format = WeightFormat::kUnspecified) {
    const TemporaryFolder folder;
    const auto layers = WriteCheckpoint(options, folder.path());
    layer_ = MakeReferenceLayer(options, layers[static_cast<size_t>(index)],
                                index, format);
    expected_ = ForwardReference(layer_, request_);
  }

  // "" where the answer of the spoiled layer would pass.
  std::string Verdict(const std::function<void(ReferenceLayer&)>& spoil) const {
    ReferenceLayer spoiled = layer_;
    spoil(spoiled);
    return CompareWithBound(expected_,
                            ForwardReference(spoiled, request_).value);
  }

  const Bounded& expected() const { return expected_; }
  const ReferenceLayer& layer() const { return layer_; }
  LayerRequest& request() { return request_; }
  void Again() { expected_ = ForwardReference(layer_, request_); }

 private:
  ReferenceLayer layer_;
  LayerRequest request_ = RandomRequest(24);
  Bounded expected_;
};

TEST(LayerReferenceTest, ErrorsWithinTheBoundPassAndOthersDoNot) {
  const Spoiled layer(Family("llama"));
  std::vector<double> answer = layer.expected().value;
  EXPECT_EQ(CompareWithBound(layer.expected(), answer), "");
  for (const size_t i : {size_t{0}, size_t{77}, answer.size() - 1}) {
    answer[i] += 0.9 * layer.expected().error[i];
    EXPECT_EQ(CompareWithBound(layer.expected(), answer), "");
    answer[i] += 0.2 * layer.expected().error[i];
    EXPECT_NE(CompareWithBound(layer.expected(), answer), "");
    answer[i] = NAN;
    EXPECT_NE(CompareWithBound(layer.expected(), answer), "");
    answer[i] = layer.expected().value[i];
  }
  answer.pop_back();
  EXPECT_NE(CompareWithBound(layer.expected(), answer), "");
}

// Elements are about 1: half a percent of that is far outside.
TEST(LayerReferenceTest, BoundsAreSmall) {
  for (const char* model_type :
       {"llama", "mistral", "qwen2", "qwen3", "bert", "gpt2"}) {
    const Spoiled layer(Family(model_type));
    double sum = 0;
    for (const double bound : layer.expected().error) {
      ASSERT_GT(bound, 1e-8) << model_type;
      ASSERT_LT(bound, 2e-3) << model_type;
      sum += bound;
    }
    const auto n = static_cast<double>(layer.expected().error.size());
    EXPECT_LT(sum / n, 1e-3) << model_type;
  }
}

TEST(LayerReferenceTest, EveryProjectionMatters) {
  for (const char* model_type : {"llama", "mistral", "qwen3", "bert", "gpt2"}) {
    const Spoiled layer(Family(model_type));
    for (const auto part : {&ReferenceLayer::query, &ReferenceLayer::key,
                            &ReferenceLayer::value, &ReferenceLayer::output}) {
      EXPECT_NE(layer.Verdict([&](ReferenceLayer& l) {
        // All at once would get lost in a norm.
        (l.*part).weights[0] += 1e-2;
      }),
                "")
          << model_type;
    }
  }
}

TEST(LayerReferenceTest, EveryBiasMatters) {
  for (const char* model_type : {"llama", "qwen2", "bert", "gpt2"}) {
    const Spoiled layer(Family(model_type));
    for (const auto part : {&ReferenceLayer::query, &ReferenceLayer::key,
                            &ReferenceLayer::value, &ReferenceLayer::output}) {
      if ((layer.layer().*part).bias.empty()) {
        EXPECT_EQ(std::string(model_type), "qwen2");
        continue;
      }
      // Without rope a key's bias adds the same to all scores of a row.
      const bool is_lost = part == &ReferenceLayer::key &&
                           layer.layer().rope.per_position.empty();
      const std::string verdict =
          layer.Verdict([&](ReferenceLayer& l) { (l.*part).bias.clear(); });
      EXPECT_EQ(verdict.empty(), is_lost) << model_type << ": " << verdict;
    }
  }
}

TEST(LayerReferenceTest, NormsAndHeadsMatter) {
  const Spoiled layer(Family("qwen3"));
  EXPECT_NE(layer.Verdict([](ReferenceLayer& l) {
    l.query_norm.clear();
    l.key_norm.clear();
  }),
            "");
  EXPECT_NE(layer.Verdict([](ReferenceLayer& l) {
    l.query_norm.swap(l.key_norm);
    l.key_norm[0] += 0.01;
  }),
            "");
  EXPECT_NE(layer.Verdict([](ReferenceLayer& l) { l.norm_epsilon = 1e-2; }),
            "");
  EXPECT_NE(layer.Verdict([](ReferenceLayer& l) { l.scale = 1; }), "");
}

TEST(LayerReferenceTest, StructureMatters) {
  for (const char* model_type : {"llama", "mistral", "qwen2", "gpt2"}) {
    const Spoiled layer(Family(model_type));
    EXPECT_NE(
        layer.Verdict([](ReferenceLayer& l) { l.causal = CausalMode::kNone; }),
        "")
        << model_type;
  }
  const Spoiled windowed(Family("mistral"));
  for (const int64_t window : {0, 4, 6}) {
    EXPECT_NE(windowed.Verdict([=](ReferenceLayer& l) { l.window = window; }),
              "")
        << window;
  }
}

TEST(LayerReferenceTest, FrequenciesMatter) {
  for (const RopeScaling scaling : {RopeScaling::kNone, RopeScaling::kLinear,
                                    RopeScaling::kLlama3, RopeScaling::kYarn}) {
    CheckpointOptions options = Family("llama");
    options.rope = Scaled(scaling);
    const Spoiled layer(options);
    for (size_t pair = 0; pair < 4; ++pair) {
      EXPECT_NE(layer.Verdict([=](ReferenceLayer& l) {
        // The slowest pair is at 0.7 radians after 24 tokens.
        l.rope.per_position[pair] *= 1.02;
      }),
                "")
          << pair;
    }
    EXPECT_NE(
        layer.Verdict([](ReferenceLayer& l) { l.rope.magnitude *= 1 + 1e-3; }),
        "");
    if (scaling == RopeScaling::kNone) continue;
    EXPECT_NE(layer.Verdict([&](ReferenceLayer& l) {
      RopeConfig plain = options.rope;
      plain.scaling = RopeScaling::kNone;
      plain.rotary_dim = 8;
      l.rope = MakeRopeReference(plain);
    }),
              "");
  }
}

TEST(LayerReferenceTest, RequestsMatter) {
  Spoiled layer(Family("llama"));
  const auto verdict = [&](const std::function<void(LayerRequest&)>& spoil) {
    LayerRequest spoiled = layer.request();
    spoil(spoiled);
    return CompareWithBound(layer.expected(),
                            ForwardReference(layer.layer(), spoiled).value);
  };
  EXPECT_EQ(verdict([](LayerRequest&) {}), "");
  EXPECT_NE(verdict([](LayerRequest& r) { r.kv_lengths = {24, 23}; }), "");
  EXPECT_NE(verdict([](LayerRequest& r) { r.causal_offset = 1; }), "");
  EXPECT_NE(verdict([](LayerRequest& r) { r.causal = CausalMode::kNone; }), "");
  EXPECT_NE(verdict([](LayerRequest& r) {
              r.mask.assign(2 * 4 * 24 * 24, 0);
              r.mask[24 * 24 + 24] = -INFINITY;
            }),
            "");
  EXPECT_NE(verdict([](LayerRequest& r) {
              for (int64_t i = 0; i < 24; ++i)
                r.positions.push_back(i == 3 ? 4 : i);
            }),
            "");
  EXPECT_NE(verdict([](LayerRequest& r) {
              r.context = r.hidden;
              r.context_len = r.q_len;
              r.context->at(3) += 0.01;
            }),
            "");
  // Rotations see distances alone.
  EXPECT_EQ(verdict([](LayerRequest& r) {
              for (int64_t i = 0; i < 24; ++i) r.positions.push_back(i + 9);
            }),
            "");
}

// Codes are half a scale off, a thousand times what f32 costs.
TEST(LayerReferenceTest, FormatsMatter) {
  const Spoiled layer(Family("llama"));
  for (const WeightFormat format :
       {WeightFormat::kF16, WeightFormat::kBF16, WeightFormat::kInt8}) {
    const Spoiled kept(Family("llama"), 0, format);
    EXPECT_NE(CompareWithBound(layer.expected(), kept.expected().value), "");
    EXPECT_NE(CompareWithBound(kept.expected(), layer.expected().value), "");
  }
  CheckpointOptions half = Family("llama");
  half.dtype = DataType::kBF16;
  const Spoiled stored(half);
  const Spoiled same(half, 0, WeightFormat::kF32);
  EXPECT_EQ(stored.expected().value, same.expected().value);
  EXPECT_EQ(stored.layer().query.weights,
            Spoiled(half, 0, WeightFormat::kBF16).layer().query.weights);
}

TEST(LayerReferenceTest, RoundingOnceIsInTheBound) {
  Spoiled layer(Family("llama"));
  for (const DataType dtype : {DataType::kF16, DataType::kBF16}) {
    layer.request().output_dtype = dtype;
    layer.Again();
    std::vector<double> rounded = layer.expected().value;
    for (double& x : rounded) x = RoundedTo(dtype, x);
    double worst = 0;
    EXPECT_EQ(CompareWithBound(layer.expected(), rounded, &worst), "");
    EXPECT_GT(worst, 0.6);
    for (double& x : rounded) x *= 1 + 2 * UnitRoundoff(dtype);
    EXPECT_NE(CompareWithBound(layer.expected(), rounded), "");
  }
}

TEST(RoundingTest, IsToNearestEven) {
  EXPECT_EQ(RoundedTo(DataType::kBF16, 1 + 0x1p-8), 1);
  EXPECT_EQ(RoundedTo(DataType::kBF16, 1 + 3 * 0x1p-8), 1 + 0x1p-6);
  EXPECT_EQ(RoundedTo(DataType::kF16, 1 + 0x1p-11 + 0x1p-30), 1 + 0x1p-10);
  EXPECT_EQ(RoundedTo(DataType::kF16, 0x1p-25), 0);
  EXPECT_EQ(RoundedTo(DataType::kF16, 3 * 0x1p-25), 0x1p-23);
  EXPECT_EQ(RoundedTo(DataType::kF32, 0.1), double{0.1f});
  EXPECT_EQ(RoundedTo(DataType::kF64, 0.1), 0.1);
  EXPECT_EQ(RoundedTo(DataType::kBF16, 0), 0);
}

// What the writer writes is what the reader reads, for every family.
TEST(CheckpointWriterTest, WritesWhatTheReaderReads) {
  for (const char* model_type :
       {"llama", "mistral", "qwen2", "qwen3", "bert", "gpt2"}) {
    for (const int64_t num_files : {1, 3}) {
      const TemporaryFolder folder;
      CheckpointOptions options = Family(model_type);
      options.num_files = num_files;
      options.dtype = num_files == 1 ? DataType::kF32 : DataType::kBF16;
      options.has_other_prefix = num_files == 3;
      WriteCheckpoint(options, folder.path());
      const auto checkpoint = Checkpoint::Open(folder.path());
      ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
      EXPECT_EQ(checkpoint->config().model_type, model_type);
      EXPECT_EQ(checkpoint->config().num_layers, 2);
      EXPECT_EQ(checkpoint->config().head_dim, 8);
      EXPECT_EQ(checkpoint->config().rope.has_value(), options.is_llama_like());
      EXPECT_EQ(checkpoint->config().has_window(1), options.window > 0);
      EXPECT_TRUE(checkpoint->Has("embeddings.weight"));
    }
  }
}

}  // namespace
}  // namespace attn::test
