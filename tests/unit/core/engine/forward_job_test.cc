#include "core/engine/forward_job.h"

#include <cstring>
#include <memory>
#include <vector>

#include "core/tensor/conversions.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/core/engine/forward_job_fixture.h"

namespace attn::test {
namespace {

TEST_F(ForwardJobTest, OneTokenSeesItselfAlone) {
  const auto states = RandomStates(1, 1);
  // Attention of one key is its value: for both query heads.
  ScratchArena arena;
  std::vector<float> value(10);
  for (int64_t block = 0; block < layer_->value->num_blocks(); ++block) {
    ASSERT_TRUE(layer_->value
                    ->MultiplyBlock(block, 1, {states.data(), kLoopHidden},
                                    {value.data() + block * 6, 10}, arena)
                    .ok());
  }
  std::vector<float> heads = value;
  heads.insert(heads.end(), value.begin(), value.end());
  const auto output = Run(RequestFor(states));
  ASSERT_EQ(output.size(), 14u);
  std::vector<float> expected(14);
  for (int64_t block = 0; block < layer_->output->num_blocks(); ++block) {
    ASSERT_TRUE(layer_->output
                    ->MultiplyBlock(block, 1, {heads.data(), 20},
                                    {expected.data() + block * 6, 14}, arena)
                    .ok());
  }
  for (size_t i = 0; i < 14; ++i) EXPECT_NEAR(output[i], expected[i], 1e-5);
}

TEST_F(ForwardJobTest, TheBytesAreThoseOfTheRequestAlone) {
  std::vector<std::vector<float>> states;
  for (int64_t i = 0; i < 20; ++i) {
    states.push_back(RandomStates(1 + 7 * i % 60, static_cast<uint64_t>(i)));
  }
  std::vector<ForwardRequest> requests;
  for (const auto& s : states) requests.push_back(RequestFor(s));
  const auto together = RunAll(std::move(requests));
  for (size_t i = 0; i < states.size(); ++i) {
    ASSERT_TRUE(together[i]->status().ok());
    EXPECT_EQ(OutputOf(*together[i]), Run(RequestFor(states[i]))) << i;
  }
}

TEST_F(ForwardJobTest, JobsOfOneLayerShareProducts) {
  // A worker that is just awake would take the first without the others.
  StartEngine(
      1, {.max_batch_tasks = 16, .max_batch_delay = std::chrono::seconds(10)});
  std::vector<std::vector<float>> states;
  for (uint64_t i = 0; i < 16; ++i) states.push_back(RandomStates(1, i));
  std::vector<ForwardRequest> requests;
  for (const auto& s : states) requests.push_back(RequestFor(s));
  RunAll(std::move(requests));
  const auto& query = static_cast<const LoopLinear&>(*layer_->query);
  const auto& output = static_cast<const LoopLinear&>(*layer_->output);
  EXPECT_EQ(query.num_calls(), query.num_blocks());
  EXPECT_EQ(output.num_calls(), output.num_blocks());
}

TEST_F(ForwardJobTest, ASessionTokenByTokenEqualsTheWhole) {
  constexpr int64_t kTokens = 70;  // More than a page.
  const auto states = RandomStates(kTokens, 3);
  const auto whole = Run(RequestFor(states));
  const SessionPtr session = MakeSession();
  for (int64_t i = 0; i < kTokens; ++i) {
    const std::vector<float> token(states.begin() + i * kLoopHidden,
                                   states.begin() + (i + 1) * kLoopHidden);
    ForwardRequest request = RequestFor(token);
    request.session = session;
    request.session_layer = 1;
    request.expected_length = i;
    request.append = {.hash_low = static_cast<uint64_t>(i)};
    const auto output = Run(std::move(request));
    for (size_t c = 0; c < 14; ++c) {
      EXPECT_NEAR(output[c], whole[static_cast<size_t>(i) * 14 + c], 1e-5)
          << i << " " << c;
    }
  }
}

TEST_F(ForwardJobTest, ContextGivesKeysAndValues) {
  const auto hidden = RandomStates(2, 4);
  const auto context = RandomStates(5, 5);
  ForwardRequest request = RequestFor(hidden);
  request.spec.context = SpecOf(context, 1);
  request.context = ReaderOf(context);
  request.spec.causal = CausalMode::kNone;
  const auto output = Run(std::move(request));
  // The same through a session that holds the context.
  const SessionPtr session = MakeSession();
  ForwardRequest fill = RequestFor(context);
  fill.session = session;
  Run(std::move(fill));
  ForwardRequest ask = RequestFor(hidden);
  ask.spec.context = {
      .is_present = true, .dtype = DataType::kF32, .dims = {1, 0, kLoopHidden}};
  ask.context = ReaderOf(context);
  ask.session = session;
  ask.spec.causal = CausalMode::kNone;
  ask.spec.positions = {0, 1};
  const auto of_session = Run(std::move(ask));
  for (size_t i = 0; i < output.size(); ++i) {
    EXPECT_NEAR(output[i], of_session[i], 1e-5) << i;
  }
}

TEST_F(ForwardJobTest, NoTokensGiveNoOutput) {
  const std::vector<float> none;
  ForwardRequest request;
  request.layer = layer_;
  request.spec.hidden = {
      .is_present = true, .dtype = DataType::kF32, .dims = {3, 0, kLoopHidden}};
  request.hidden = ReaderOf(none);
  EXPECT_TRUE(Run(std::move(request)).empty());
}

TEST_F(ForwardJobTest, F16IsRoundedOnce) {
  const auto states = RandomStates(4, 6);
  ForwardRequest request = RequestFor(states);
  request.spec.output.dtype = DataType::kF16;
  std::vector<ForwardRequest> requests;
  requests.push_back(std::move(request));
  const auto jobs = RunAll(std::move(requests));
  const auto exact = Run(RequestFor(states));
  std::vector<std::byte> expected(exact.size() * 2);
  ConvertFromF32(exact.data(), std::ssize(exact), DataType::kF16,
                 expected.data());
  ASSERT_EQ(jobs[0]->output_bytes(), std::ssize(expected));
  EXPECT_EQ(std::memcmp(jobs[0]->output(), expected.data(), expected.size()),
            0);
}

TEST_F(ForwardJobTest, EachJobIsCountedOnce) {
  Run(RequestFor(RandomStates(3, 7)));
  ASSERT_TRUE(engine_->AwaitIdle(clock_.Now() + std::chrono::seconds(10)));
  EXPECT_EQ(metrics_.admitted(), 1);
  EXPECT_EQ(metrics_.finished(Outcome::kCompleted), 1);
  EXPECT_EQ(metrics_.finished(), 1);
  EXPECT_THAT(metrics_.forward_tokens(),
              testing::ElementsAre(testing::Pair("loop/0", 3)));
  const AttentionLayer& layer = *layer_;
  EXPECT_EQ(metrics_.projections(),
            layer.query->num_blocks() + layer.key->num_blocks() +
                layer.value->num_blocks() + layer.output->num_blocks());
  EXPECT_EQ(engine_->admission().bytes(), 0);
  EXPECT_EQ(engine_->admission().queued_tasks(), 0);
}

TEST_F(ForwardJobTest, AFailedProductFailsTheJob) {
  const_cast<LoopLinear&>(static_cast<const LoopLinear&>(*layer_->output))
      .fails = true;
  const auto states = RandomStates(3, 8);
  std::vector<ForwardRequest> requests;
  requests.push_back(RequestFor(states));
  const auto jobs = RunAll(std::move(requests));
  EXPECT_EQ(jobs[0]->status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(metrics_.finished(Outcome::kFailed), 1);
}

TEST_F(ForwardJobTest, ACancelledJobEndsOnce) {
  const auto states = RandomStates(40, 9);
  for (int i = 0; i < 50; ++i) {
    auto job = PrepareForward(*engine_, RequestFor(states));
    ASSERT_TRUE(job.ok());
    absl::BlockingCounter left(1);
    SubmitForward(*job, [&left](ForwardJob&) { left.DecrementCount(); });
    CancelForward(*job);
    left.Wait();
    EXPECT_TRUE((*job)->status().ok() || absl::IsCancelled((*job)->status()));
  }
  ASSERT_TRUE(engine_->AwaitIdle(clock_.Now() + std::chrono::seconds(10)));
  EXPECT_EQ(metrics_.finished(), 50);
}

}  // namespace
}  // namespace attn::test
