// Appends that are cancelled, time out, or lose their answers, and are sent
// again: every token is there once, in its place, whatever happened on the way.
// And forks that decode together answer what they answer alone.
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "client/cpp/error_details.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire_case.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

using client::Client;

AttentionCase MakeTokens(int64_t length, uint64_t seed) {
  CaseOptions options;
  options.num_q_heads = 4;
  options.q_len = options.kv_len = length;
  options.head_dim = options.value_head_dim = 32;
  options.params.causal = CausalMode::kTopLeft;
  options.seed = seed;
  return MakeCase(options);
}

class SessionRetryTest : public testing::Test {
 protected:
  void Create(const std::string& id) {
    const auto session = client_->CreateSession(
        {.num_kv_heads = 2, .head_dim = 32, .value_head_dim = 32}, id);
    ASSERT_TRUE(session.ok()) << session.status();
  }

  static client::AppendRequest Appended(const client::AttendRequest& tokens) {
    return {
        .session = *tokens.session, .key = tokens.key, .value = tokens.value};
  }

  // The bytes of what the last token sees of the whole layer.
  std::string Look(const AttentionCase& whole, const std::string& id) {
    const int64_t length = whole.plan.geometry.q_len;
    client::AttendRequest request = ToSessionRequest(whole, length - 1, 1, id);
    request.key = request.value = client::Tensor();
    request.session->expected_length.reset();
    const auto response = client_->Attend(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? std::string(response->output.bytes()) : "";
  }

  // Cancelled after `patience`, unless it was done by then.
  absl::Status AppendOrCancel(const client::AppendRequest& request,
                              absl::Duration patience) {
    absl::Notification done;
    absl::Status status;
    client::CallHandle call = client_->AppendKvAsync(
        request, [&](const absl::StatusOr<uint64_t>& length) {
          status = length.status();
          done.Notify();
        });
    if (!done.WaitForNotificationWithTimeout(patience)) call.Cancel();
    done.WaitForNotification();
    return status;
  }

  ServerProcess server_;
  std::unique_ptr<Client> client_ = server_.NewClient();
};

TEST_F(SessionRetryTest, EveryTokenIsAppendedOnceWhateverIsCancelled) {
  const int64_t length = Scaled(8000, 1500);
  const AttentionCase whole = MakeTokens(length, 5);
  Create("calm");
  Create("rough");
  ASSERT_TRUE(
      client_->AppendKv(Appended(ToSessionRequest(whole, 0, length, "calm")))
          .ok());
  Random random(20261121);
  int64_t num_cancelled = 0;
  for (int64_t first = 0; first < length;) {
    const int64_t n = std::min(length - first, random.Between(1, 300));
    const auto request = Appended(ToSessionRequest(whole, first, n, "rough"));
    // So many that some are cancelled on a fast machine, too.
    for (int64_t tries = random.Between(0, 20); tries > 0; --tries) {
      const int64_t patience = random.Chance(0.5) ? 0 : random.Between(1, 1500);
      const absl::Status status =
          AppendOrCancel(request, absl::Microseconds(patience));
      if (status.ok()) continue;  // And once more all the same.
      EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
      ++num_cancelled;
    }
    const auto length_now = client_->AppendKv(request);
    ASSERT_TRUE(length_now.ok()) << length_now.status();
    first += n;
    ASSERT_EQ(*length_now, static_cast<uint64_t>(first));
  }
  EXPECT_GT(num_cancelled, 0) << "nothing was cancelled in time";
  EXPECT_EQ(Look(whole, "rough"), Look(whole, "calm"));
  for (const char* id : {"calm", "rough"}) {
    ASSERT_TRUE(client_->DeleteSession(id).ok());
  }
  EXPECT_EQ(server_.Metrics().Sum("attn_kv_bytes"), 0);
}

// The deadline passes somewhere between the client and the answer.
TEST_F(SessionRetryTest, StepsThatTimeOutAnswerTheSameWhenSentAgain) {
  const AttentionCase whole = MakeTokens(60, 6);
  Create("calm");
  Create("rough");
  Random random(20261122);
  for (int64_t first = 0; first < 60; ++first) {
    const auto step = ToSessionRequest(whole, first, 1, "rough");
    for (int64_t tries = random.Between(0, 2); tries > 0; --tries) {
      client::CallOptions options;
      options.deadline = absl::Microseconds(random.Between(1, 1200));
      const auto answer = client_->Attend(step, options);
      if (answer.ok()) continue;
      EXPECT_EQ(answer.status().code(), absl::StatusCode::kDeadlineExceeded)
          << answer.status();
    }
    const auto rough = client_->Attend(step);
    const auto calm =
        client_->Attend(ToSessionRequest(whole, first, 1, "calm"));
    ASSERT_TRUE(rough.ok() && calm.ok()) << rough.status();
    ASSERT_EQ(rough->output.bytes(), calm->output.bytes()) << first;
    ASSERT_EQ(rough->session_length, static_cast<uint64_t>(first) + 1);
  }
}

TEST_F(SessionRetryTest, ForksThatDecodeTogetherAnswerAsAlone) {
  constexpr int64_t kPrefix = 2300;  // Two splits of 1024 and a rest.
  const AttentionCase prefix = MakeTokens(kPrefix, 7);
  Create("root");
  ASSERT_TRUE(
      client_->AppendKv(Appended(ToSessionRequest(prefix, 0, kPrefix, "root")))
          .ok());
  std::vector<client::AttendRequest> steps;
  for (uint64_t i = 0; i < 12; ++i) {
    const std::string id = "fork" + std::to_string(i);
    ASSERT_TRUE(client_->ForkSession("root", id).ok());
    steps.push_back(ToSessionRequest(MakeTokens(1, 100 + i), 0, 1, id));
    steps.back().session->expected_length = kPrefix;
  }
  const auto together = client_->AttendBatch(steps);
  ASSERT_TRUE(together.ok()) << together.status();
  for (size_t i = 0; i < steps.size(); ++i) {
    ASSERT_TRUE((*together)[i].status.ok()) << (*together)[i].status;
    const auto alone = client_->Attend(steps[i]);
    ASSERT_TRUE(alone.ok()) << alone.status();
    EXPECT_EQ((*together)[i].response.output.bytes(), alone->output.bytes());
  }
}

}  // namespace
}  // namespace attn::test
