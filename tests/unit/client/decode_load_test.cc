// Decoding against a server in the same process (fake_server.h), which keeps
// lengths and so checks every expected_length.
#include "client/cpp/attnctl/decode_load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "absl/time/clock.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "tests/unit/client/fake_server.h"

namespace attn::attnctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr int kInvalidArgument = 3;
constexpr int kResourceExhausted = 8;

// The real clock, stopped after a number of looks at it. Thread-safe.
class CountingClock : public LoadClock {
 public:
  absl::Time Now() override { return absl::Now(); }
  void SleepUntil(absl::Time /*time*/) override {}
  bool stopped() override { return ++looks_ > looks_until_stop; }

  int looks_until_stop = 1'000'000;

 private:
  std::atomic<int> looks_ = 0;
};

class DecodeLoadTest : public ::testing::Test {
 protected:
  DecodeLoadTest() {
    client_ = client::Client::Create(
                  {.address = server_.address(), .retry = {.max_attempts = 1}})
                  .value();
    plan_.sessions = 3;
    plan_.spec = {.num_layers = 2, .num_kv_heads = 2, .head_dim = 4};
    plan_.num_q_heads = 4;
    plan_.prefix = 2500;  // Two chunks and a rest.
    plan_.steps = 5;
    plan_.id_prefix = "s";
  }

  std::unique_ptr<DecodeLoad> Load() {
    return DecodeLoad::Create(plan_, *client_, clock_, record_).value();
  }

  int64_t CallsOf(const std::string& method) {
    const std::vector<std::string> calls = server_.session_calls();
    return std::count_if(
        calls.begin(), calls.end(),
        [&](const std::string& call) { return call.starts_with(method); });
  }

  client::FakeServer server_;
  std::unique_ptr<client::Client> client_;
  DecodePlan plan_;
  CountingClock clock_;
  LoadRecord record_{0};
};

TEST_F(DecodeLoadTest, PrefixIsAppendedInChunksToEveryLayer) {
  const auto load = Load();
  ASSERT_TRUE(load->Prepare().ok());
  EXPECT_EQ(CallsOf("AppendKv"), 3 * 2 * 3);
  EXPECT_EQ(load->figures().prefix_tokens, 7500);
  EXPECT_THAT(client_->GetSession("s2")->layer_lengths,
              ElementsAre(2500, 2500));
}

TEST_F(DecodeLoadTest, EverySessionDecodesAllSteps) {
  const auto load = Load();
  ASSERT_TRUE(load->Prepare().ok());
  load->Decode();
  EXPECT_EQ(load->figures().tokens, 15);
  EXPECT_EQ(load->figures().token_latency.count(), 15);
  const LoadFigures calls = record_.Copy();
  EXPECT_EQ(calls.completed, 30);
  EXPECT_EQ(calls.latency.count(), 30);
  EXPECT_THAT(calls.errors, IsEmpty());
  EXPECT_THAT(client_->GetSession("s1")->layer_lengths,
              ElementsAre(2505, 2505));
}

TEST_F(DecodeLoadTest, BatchSendsAllSessionsOfALayerInOneCall) {
  plan_.batch = true;
  const auto load = Load();
  ASSERT_TRUE(load->Prepare().ok());
  load->Decode();
  EXPECT_EQ(load->figures().tokens, 15);
  EXPECT_EQ(record_.Copy().completed, 30);
  EXPECT_EQ(record_.Copy().latency.count(), 10);
  EXPECT_EQ(server_.attend_calls(), 0);
  EXPECT_THAT(client_->GetSession("s0")->layer_lengths,
              ElementsAre(2505, 2505));
}

TEST_F(DecodeLoadTest, SessionsAreDeletedOnceAndByTheDestructor) {
  auto load = Load();
  ASSERT_TRUE(load->Prepare().ok());
  EXPECT_EQ(server_.session_ids().size(), 3);
  load.reset();
  EXPECT_THAT(server_.session_ids(), IsEmpty());
  load = Load();
  ASSERT_TRUE(load->Prepare().ok());
  EXPECT_TRUE(load->DeleteSessions().ok());
  EXPECT_THAT(server_.session_ids(), IsEmpty());
  load.reset();
  EXPECT_EQ(CallsOf("DeleteSession"), 6);
}

TEST_F(DecodeLoadTest, FailedSessionStopsAndTheOthersGoOn) {
  plan_.prefix = 0;
  const auto load = Load();
  ASSERT_TRUE(load->Prepare().ok());
  server_.Expect({{kResourceExhausted}});
  load->Decode();
  EXPECT_EQ(load->figures().tokens, 10);
  EXPECT_THAT(record_.Copy().errors,
              ElementsAre(Pair("RESOURCE_EXHAUSTED", 1)));
}

TEST_F(DecodeLoadTest, FailedItemsLeaveTheBatch) {
  plan_.batch = true;
  plan_.prefix = 0;
  const auto load = Load();
  ASSERT_TRUE(load->Prepare().ok());
  ASSERT_TRUE(client_->DeleteSession("s1").ok());
  load->Decode();
  EXPECT_EQ(load->figures().tokens, 10);
  EXPECT_THAT(record_.Copy().errors, ElementsAre(Pair("NOT_FOUND", 1)));
  EXPECT_THAT(client_->GetSession("s2")->layer_lengths, ElementsAre(5, 5));
}

TEST_F(DecodeLoadTest, StopEndsDecodingAndKeepsTheFigures) {
  plan_.batch = true;
  plan_.prefix = 0;
  clock_.looks_until_stop = 3 + 7;  // Three sessions made, seven layers done.
  const auto load = Load();
  ASSERT_TRUE(load->Prepare().ok());
  load->Decode();
  EXPECT_EQ(load->figures().tokens, 9);
  EXPECT_EQ(record_.Copy().completed, 21);
}

TEST_F(DecodeLoadTest, StopBeforeDecodingIsCancelled) {
  clock_.looks_until_stop = 2;
  auto load = Load();
  EXPECT_EQ(load->Prepare().code(), absl::StatusCode::kCancelled);
  load.reset();
  EXPECT_THAT(server_.session_ids(), IsEmpty());
}

TEST_F(DecodeLoadTest, FailedPrefixIsReportedAndNothingStays) {
  server_.ExpectSessionCalls({{}, {kInvalidArgument}});
  plan_.sessions = 1;
  auto load = Load();
  EXPECT_EQ(load->Prepare(), absl::InvalidArgumentError("as told"));
  EXPECT_EQ(CallsOf("AppendKv"), 1);
  load.reset();
  EXPECT_THAT(server_.session_ids(), IsEmpty());
}

TEST_F(DecodeLoadTest, TooLargeTensorsAreRefused) {
  plan_.num_q_heads = int64_t{1} << 31;
  EXPECT_FALSE(DecodeLoad::Create(plan_, *client_, clock_, record_).ok());
}

TEST_F(DecodeLoadTest, BenchPrintsTokensAndLeavesNoSessions) {
  CLI::App app;
  GlobalOptions globals;
  globals.address = server_.address();
  Action action;
  AddBenchCommand(app, globals, action);
  app.parse(
      "bench --sessions 2 --layers 3 --heads 4 --kv-heads 2 --head-dim 8 "
      "--prefix 10 --steps 4 --batch");
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(action(), kExitOk);
  const std::string out = ::testing::internal::GetCapturedStdout();
  EXPECT_THAT(out, HasSubstr("2 with 3 layers and 10 tokens each, in one "
                             "AttendBatch\n"));
  EXPECT_THAT(out, HasSubstr("tokens/s, 8 in "));
  EXPECT_THAT(out, HasSubstr("24 completed, 0 failed"));
  EXPECT_THAT(server_.session_ids(), IsEmpty());
}

}  // namespace
}  // namespace attn::attnctl
