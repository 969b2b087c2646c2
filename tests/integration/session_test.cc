// Sessions of the real server: every method, every error, and the same answers
// as stateless calls.
#include <map>
#include <string>
#include <vector>

#include "client/cpp/error_details.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire_case.h"

namespace attn::test {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kLength = 130;

AttentionCase Whole() {
  CaseOptions options;
  options.num_q_heads = 4;
  options.q_len = options.kv_len = kLength;
  options.value_head_dim = 24;
  options.params.causal = CausalMode::kTopLeft;
  options.params.rope = RopeParams{.base = 10000};
  return MakeCase(options);
}

class SessionTest : public testing::Test {
 protected:
  static client::SessionSpec Spec() {
    return {.num_layers = 2,
            .num_kv_heads = 2,
            .head_dim = 16,
            .value_head_dim = 24};
  }

  // Tokens [first, first + n) of the case for layer 1 of session "s".
  client::AttendRequest Tokens(int64_t first, int64_t n,
                               const std::string& id = "s") const {
    return ToSessionRequest(whole_, first, n, id, /*layer=*/1);
  }

  void ExpectError(const absl::Status& status, StatusCode code,
                   const std::string& reason) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_EQ(client::ErrorReason(status), reason) << status;
  }

  // What layer 1 of session "s" answers to tokens in pieces, and to retries.
  void ExpectPiecesAnswerAsTheWhole(double tolerance) {
    const auto whole = client_->Attend(ToRequest(whole_));
    ASSERT_TRUE(whole.ok()) << whole.status();
    const std::vector<float> expected = *whole->output.ToFloats();
    int64_t first = 0;
    for (const int64_t n : {50, 1, 1, 30, 1, 47}) {
      const auto once = client_->Attend(Tokens(first, n));
      ASSERT_TRUE(once.ok()) << once.status();
      EXPECT_EQ(once->session_length, static_cast<uint64_t>(first + n));
      const auto again = client_->Attend(Tokens(first, n));
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(again->output.bytes(), once->output.bytes()) << "a retry";
      const std::vector<float> got = *once->output.ToFloats();
      for (size_t i = 0; i < got.size(); ++i) {
        const size_t row = i / 24 % static_cast<size_t>(n);
        const size_t head = i / 24 / static_cast<size_t>(n);
        const size_t at =
            (head * kLength + static_cast<size_t>(first) + row) * 24 + i % 24;
        ASSERT_NEAR(got[i], expected[at], tolerance) << "token " << first + row;
      }
      first += n;
    }
    const auto session = client_->GetSession("s");
    ASSERT_TRUE(session.ok()) << session.status();
    EXPECT_THAT(session->layer_lengths, ElementsAre(0, kLength));
  }

  const AttentionCase whole_ = Whole();
  ServerProcess server_{{"--kv-memory", "4MiB", "--max-sessions", "3"}};
  std::unique_ptr<client::Client> client_ = server_.NewClient();
};

TEST_F(SessionTest, TokensInPiecesAnswerAsTheWholeDoes) {
  ASSERT_TRUE(client_->CreateSession(Spec(), "s").ok());
  ExpectPiecesAnswerAsTheWhole(2e-6);
  EXPECT_EQ(client_->GetSession("s")->kv_bytes, 3u * 2 * 64 * (16 + 24) * 4);
}

// Two pages packed with their scales, the third one still F32.
TEST_F(SessionTest, Int8AnswersNearlyTheSameInLessMemory) {
  client::SessionSpec spec = Spec();
  spec.kv_dtype = client::KvDtype::kInt8;
  ASSERT_TRUE(client_->CreateSession(spec, "s").ok());
  ExpectPiecesAnswerAsTheWhole(0.05);
  EXPECT_EQ(client_->GetSession("s")->kv_bytes,
            2u * 2 * (64 * 16 + 64 + 64 * 24 + 256) + 2 * 64 * (16 + 24) * 4);
}

TEST_F(SessionTest, BatchAppliesItemsOfOneSessionInOrder) {
  ASSERT_TRUE(client_->CreateSession(Spec(), "s").ok());
  const auto results = client_->AttendBatch(
      {Tokens(0, 10), Tokens(10, 5), Tokens(15, 1), Tokens(99, 1)});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[2].response.session_length, 16u);
  ExpectError((*results)[3].status, StatusCode::kFailedPrecondition, "");
}

TEST_F(SessionTest, StreamAnswersEachSessionInOrder) {
  std::map<std::string, std::vector<std::string>> sent;
  const auto stream = client_->OpenStream();
  for (int64_t first = 0; first < kLength; first += first == 0 ? 100 : 1) {
    for (const char* id : {"s", "t"}) {
      if (first == 0) {
        ASSERT_TRUE(client_->CreateSession(Spec(), id).ok());
      }
      client::AttendRequest request = Tokens(first, first == 0 ? 100 : 1, id);
      request.request_id = id + std::to_string(first);
      sent[id].push_back(request.request_id);
      ASSERT_TRUE(stream->Write(request));
    }
  }
  stream->WritesDone();
  std::map<std::string, std::vector<std::string>> answered;
  while (const auto result = stream->Read()) {
    EXPECT_TRUE(result->status.ok()) << result->status;
    const std::string& id = result->response.request_id;
    answered[id.substr(0, 1)].push_back(id);
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answered, sent);
}

TEST_F(SessionTest, ForksAndTruncationsKeepToThemselves) {
  ASSERT_TRUE(client_->CreateSession(Spec(), "s").ok());
  ASSERT_TRUE(client_->Attend(Tokens(0, 100)).ok());
  const auto fork = client_->ForkSession("s", "f");
  ASSERT_TRUE(fork.ok()) << fork.status();
  EXPECT_EQ(fork->shared_kv_bytes, fork->kv_bytes);
  const auto cut = client_->TruncateSession("s", 70, 1);
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_THAT(cut->layer_lengths, ElementsAre(0, 70));
  // Other tokens than the fork has in these places.
  client::AttendRequest other = Tokens(0, 30);
  other.session->expected_length = 70;
  const auto on_source = client_->Attend(other);
  const auto on_fork = client_->Attend(Tokens(100, 30, "f"));
  ASSERT_TRUE(on_source.ok() && on_fork.ok()) << on_fork.status();
  EXPECT_THAT(client_->GetSession("f")->layer_lengths, ElementsAre(0, kLength));
  ASSERT_TRUE(client_->CreateSession(Spec(), "twin").ok());
  ASSERT_TRUE(client_->Attend(Tokens(0, 100, "twin")).ok());
  const auto on_twin = client_->Attend(Tokens(100, 30, "twin"));
  ASSERT_TRUE(on_twin.ok()) << on_twin.status();
  EXPECT_TRUE(on_fork->output.bytes() == on_twin->output.bytes());
}

TEST_F(SessionTest, EveryErrorSaysItsReason) {
  ASSERT_TRUE(client_->CreateSession(Spec(), "s").ok());
  ASSERT_TRUE(client_->Attend(Tokens(0, 3)).ok());
  ExpectError(client_->CreateSession(Spec(), "s").status(),
              StatusCode::kAlreadyExists, "SESSION_EXISTS");
  ExpectError(client_->CreateSession({}, "t").status(),
              StatusCode::kInvalidArgument, "INVALID_OPTION");
  ExpectError(client_->GetSession("nobody").status(), StatusCode::kNotFound,
              "SESSION_NEVER_EXISTED");
  ExpectError(
      client_->GetSession("01234567-0123456789abcdef0123456789abcdef").status(),
      StatusCode::kNotFound, "SERVER_RESTARTED");
  const absl::Status mismatch = client_->Attend(Tokens(7, 1)).status();
  ExpectError(mismatch, StatusCode::kFailedPrecondition, "LENGTH_MISMATCH");
  EXPECT_EQ(client::FoundLength(mismatch), 3u);
  ExpectError(client_->ForkSession("s", "t", 4).status(),
              StatusCode::kFailedPrecondition, "LENGTH_MISMATCH");
  ExpectError(client_->TruncateSession("s", 4, 1).status(),
              StatusCode::kFailedPrecondition, "LENGTH_MISMATCH");
  client::AttendRequest request = Tokens(3, 1);
  request.session->layer = 2;
  ExpectError(client_->Attend(request).status(),
              StatusCode::kFailedPrecondition, "SPEC_MISMATCH");
  EXPECT_THAT(client_->Attend(request).status().message(),
              HasSubstr("session.layer must be below the session's num_layers; "
                        "got 2 vs 2"));
  ASSERT_TRUE(client_->DeleteSession("s").ok());
  ExpectError(client_->DeleteSession("s"), StatusCode::kNotFound,
              "SESSION_DELETED");
}

TEST_F(SessionTest, BadAppendsNameTheFieldAsTheMessageDoes) {
  ASSERT_TRUE(client_->CreateSession(Spec(), "s").ok());
  const client::AttendRequest tokens = Tokens(0, 3);
  client::AppendRequest good{
      .session = *tokens.session, .key = tokens.key, .value = tokens.value};
  const auto expect_refused = [&](const client::AppendRequest& request,
                                  const std::string& message) {
    const absl::Status status = client_->AppendKv(request).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(status.message(), message);
  };
  client::AppendRequest bad = good;
  bad.layout = static_cast<client::Layout>(99);
  expect_refused(bad, "layout must be an enum number from 0 to 3; got 99");
  bad = good;
  bad.key = bad.value = client::Tensor();
  expect_refused(bad, "key is required; got nothing");
  bad = good;
  bad.rope = client::RopeParams{.base = -1};
  expect_refused(bad, "rope.base must be finite and not negative; got -1");
  EXPECT_THAT(client_->GetSession("s")->layer_lengths, ElementsAre(0, 0));
}

TEST_F(SessionTest, SpentBudgetsLeaveLiveSessionsUnharmed) {
  ASSERT_TRUE(client_->CreateSession(Spec(), "s").ok());
  ASSERT_TRUE(client_->Attend(Tokens(0, 100)).ok());
  client::SessionSpec large = Spec();
  large.head_dim = 1024;
  large.num_kv_heads = 16;
  ASSERT_TRUE(client_->CreateSession(large, "large").ok());
  client::AppendRequest append;
  append.session.session_id = "large";
  append.key = client::Tensor::Own(client::DType::kF32, {1, 16, 1, 1024},
                                   std::string(16 * 1024 * 4, '\0'));
  append.value = client::Tensor::Own(client::DType::kF32, {1, 16, 1, 24},
                                     std::string(16 * 24 * 4, '\0'));
  ExpectError(client_->AppendKv(append).status(),
              StatusCode::kResourceExhausted, "KV_MEMORY");
  EXPECT_THAT(client_->GetSession("large")->layer_lengths, ElementsAre(0, 0));
  ASSERT_TRUE(client_->CreateSession(Spec(), "third").ok());
  ExpectError(client_->CreateSession(Spec(), "fourth").status(),
              StatusCode::kResourceExhausted, "QUOTA");
  EXPECT_TRUE(client_->Attend(Tokens(100, 30)).ok());
}

TEST_F(SessionTest, ListsPageByPageAndGivesEverythingBack) {
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(client_->CreateSession(Spec(), id).ok());
  }
  const auto first = client_->ListSessions(2);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->sessions.size(), 2u);
  const auto second = client_->ListSessions(2, first->next_page_token);
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_EQ(second->sessions.size(), 1u);
  EXPECT_EQ(second->sessions[0].session_id, "c");
  EXPECT_EQ(second->next_page_token, "");
  ExpectError(client_->ListSessions(2, "made up").status(),
              StatusCode::kInvalidArgument, "INVALID_OPTION");
  ASSERT_TRUE(client_->Attend(Tokens(0, 70, "b")).ok());
  EXPECT_EQ(server_.Metrics().Sum("attn_sessions"), 3);
  EXPECT_GT(server_.Metrics().Sum("attn_kv_bytes"), 0);
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(client_->DeleteSession(id).ok());
  }
  EXPECT_EQ(server_.Metrics().Sum("attn_sessions"), 0);
  EXPECT_EQ(server_.Metrics().Sum("attn_kv_bytes"), 0);
  EXPECT_EQ(server_.Metrics().Sum("attn_sessions_closed_total",
                                  {{"reason", "deleted"}}),
            3);
}

}  // namespace
}  // namespace attn::test
