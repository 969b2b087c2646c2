// The bytes of a layer's answer are a function of the request alone: not of the
// tokens with which it shares a product, nor of the number of workers.
#include <cstddef>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/layer_case.h"
#include "tests/support/layer_runner.h"
#include "tests/support/loaded_layer.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

constexpr uint64_t kSeed = 20261122;

// Large enough for several blocks of channels.
CheckpointOptions Model() {
  return {.model_type = "qwen3",
          .hidden_dim = 192,
          .num_q_heads = 6,
          .num_kv_heads = 2,
          .head_dim = 32};
}

LayerCase RandomCase(const LoadedLayer& tiny, Random& random) {
  const DataType dtypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16};
  LayerCaseOptions o;
  o.batch_size = random.Between(1, 2);
  o.q_len = random.Chance(0.6) ? 1 : random.Between(0, Scaled(40, 10));
  if (random.Chance(0.2)) o.context_len = random.Between(0, 30);
  o.dtype = dtypes[random.Between(0, 2)];
  if (random.Chance(0.2)) o.mask_dtype = DataType::kBool;
  if (random.Chance(0.2)) o.has_kv_lengths = true;
  if (random.Chance(0.2)) o.has_positions = true;
  o.seed = random.Next();
  return MakeLayerCase(tiny.reference, o);
}

class LayerInvarianceTest : public testing::TestWithParam<WeightFormat> {
 protected:
  static std::vector<std::byte> Run(LayerRunner& runner,
                                    const LoadedLayer& tiny,
                                    const LayerCase& request,
                                    const SessionPtr& session = {}) {
    const auto answer = runner.Run(tiny.layer, request, session);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->output : std::vector<std::byte>();
  }

  // The first of `cases` alone, and among all of them.
  static void ExpectSameAmong(LayerRunner& runner, const LoadedLayer& tiny,
                              const std::vector<LayerCase>& cases) {
    std::vector<LayerCall> calls;
    for (const LayerCase& c : cases) calls.push_back({tiny.layer, &c});
    const auto together = runner.RunTogether(calls);
    for (size_t i = 0; i < cases.size(); ++i) {
      ASSERT_TRUE(together[i].ok()) << together[i].status();
      ASSERT_EQ(together[i]->output, Run(runner, tiny, cases[i]))
          << "case " << i << " of " << cases.size();
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Formats, LayerInvarianceTest,
                         testing::Values(WeightFormat::kF32, WeightFormat::kF16,
                                         WeightFormat::kBF16,
                                         WeightFormat::kInt8));

TEST_P(LayerInvarianceTest, BytesAreTheSameAloneAndInAnyBatch) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  const LoadedLayer tiny = LoadTiny(Model(), GetParam());
  Random random(kSeed);
  for (const int num_workers : {1, 2, 4}) {
    LayerRunner runner(num_workers);
    for (const int64_t others : {1, 2, 3, 7, 15, 31, 63, 64}) {
      if (others > Scaled(64, 7)) continue;
      std::vector<LayerCase> cases;
      for (int64_t i = 0; i <= others; ++i) {
        cases.push_back(RandomCase(tiny, random));
      }
      ExpectSameAmong(runner, tiny, cases);
    }
  }
}

// A token at every place of batches of every size.
TEST_P(LayerInvarianceTest, BytesAreTheSameAtEveryPlace) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  const LoadedLayer tiny = LoadTiny(Model(), GetParam());
  LayerRunner runner;
  const LayerCase one = MakeLayerCase(tiny.reference, {.q_len = 1, .seed = 2});
  const LayerCase other =
      MakeLayerCase(tiny.reference, {.q_len = 1, .seed = 3});
  const std::vector<std::byte> alone = Run(runner, tiny, one);
  for (size_t size = 1; size <= static_cast<size_t>(Scaled(70, 20)); ++size) {
    std::vector<LayerCall> calls(size, {tiny.layer, &other});
    const size_t middle = size / 2, last = size - 1;
    for (const size_t place : {size_t{0}, middle, last}) {
      calls[place] = {tiny.layer, &one};
    }
    const auto answers = runner.RunTogether(calls);
    for (const size_t place : {size_t{0}, middle, last}) {
      ASSERT_TRUE(answers[place].ok()) << answers[place].status();
      ASSERT_EQ(answers[place]->output, alone) << place << " of " << size;
    }
  }
}

// What is appended at once is what is appended token by token. Outputs may
// differ: few rows have another kernel than many.
TEST_P(LayerInvarianceTest, AppendedTokensDoNotDependOnThePieces) {
  const LoadedLayer tiny = LoadTiny(Model(), GetParam());
  LayerRunner runner;
  const LayerCase whole =
      MakeLayerCase(tiny.reference, {.q_len = Scaled(150, 30)});
  const SessionPtr at_once = runner.CreateSession(*tiny.layer);
  const SessionPtr in_turn = runner.CreateSession(*tiny.layer);
  Run(runner, tiny, whole, at_once);
  for (int64_t row = 0; row < whole.reference.q_len; ++row) {
    Run(runner, tiny, CutRows(whole, row, 1), in_turn);
  }
  const LayerCase probe =
      MakeLayerCase(tiny.reference, {.q_len = 1, .seed = 9});
  EXPECT_EQ(Run(runner, tiny, probe, at_once),
            Run(runner, tiny, probe, in_turn));
}

// Sessions of many clients, a token each, batch after batch.
TEST_P(LayerInvarianceTest, SessionsDoNotSeeEachOther) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  const LoadedLayer tiny = LoadTiny(Model(), GetParam());
  const auto clients = static_cast<size_t>(Scaled(24, 5));
  std::vector<LayerCase> prompts;
  for (size_t i = 0; i < clients; ++i) {
    prompts.push_back(
        MakeLayerCase(tiny.reference, {.q_len = 12, .seed = kSeed + i}));
  }
  LayerRunner alone(1), shared(3);
  std::vector<SessionPtr> sessions;
  for (size_t i = 0; i < clients; ++i) {
    sessions.push_back(shared.CreateSession(*tiny.layer));
  }
  std::vector<std::vector<std::byte>> got(clients);
  for (int64_t token = 0; token < 12; ++token) {
    std::vector<LayerCase> tokens;
    for (const LayerCase& prompt : prompts) {
      tokens.push_back(CutRows(prompt, token, 1));
    }
    std::vector<LayerCall> calls;
    for (size_t i = 0; i < clients; ++i) {
      calls.push_back({tiny.layer, &tokens[i], sessions[i]});
    }
    const auto answers = shared.RunTogether(calls);
    for (size_t i = 0; i < clients; ++i) {
      ASSERT_TRUE(answers[i].ok()) << answers[i].status();
      got[i].insert(got[i].end(), answers[i]->output.begin(),
                    answers[i]->output.end());
    }
  }
  for (size_t i = 0; i < clients; ++i) {
    const SessionPtr session = alone.CreateSession(*tiny.layer);
    std::vector<std::byte> expected;
    for (int64_t token = 0; token < 12; ++token) {
      const auto one = Run(alone, tiny, CutRows(prompts[i], token, 1), session);
      expected.insert(expected.end(), one.begin(), one.end());
    }
    ASSERT_EQ(got[i], expected) << "client " << i;
  }
}

}  // namespace
}  // namespace attn::test
