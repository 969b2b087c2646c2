// The session calls of the client against a server in the same process
// (fake_server.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "absl/synchronization/notification.h"
#include "client/cpp/client.h"
#include "client/cpp/error_details.h"
#include "tests/unit/client/fake_server.h"

namespace attn::client {
namespace {

using ::testing::ElementsAre;

constexpr int kUnavailable = 14;

class ClientSessionsTest : public ::testing::Test {
 protected:
  ClientSessionsTest() {
    ClientOptions options;
    options.address = server_.address();
    options.retry.initial_backoff = absl::Milliseconds(10);
    client_ = Client::Create(options).value();
  }

  void Make(const std::string& id) {
    ASSERT_TRUE(
        client_->CreateSession({.num_layers = 2, .head_dim = 4}, id).ok());
  }

  static AppendRequest Append(const std::string& id, int64_t tokens,
                              std::optional<uint64_t> expected_length = {}) {
    const std::vector<float> rows(static_cast<size_t>(tokens) * 4, 1.0F);
    const Tensor tensor = Tensor::FromFloats(rows, {1, 1, tokens, 4}).value();
    return {.session = {.session_id = id,
                        .layer = 0,
                        .expected_length = expected_length},
            .key = tensor,
            .value = tensor};
  }

  // The calls since the test began but for CreateSession.
  std::vector<std::string> Calls() const {
    std::vector<std::string> calls = server_.session_calls();
    std::erase_if(calls, [](const std::string& call) {
      return call.starts_with("Create");
    });
    return calls;
  }

  FakeServer server_;
  std::unique_ptr<Client> client_;
};

TEST_F(ClientSessionsTest, CreatedSessionHasItsSpecAndId) {
  const auto session = client_->CreateSession({.num_layers = 3,
                                               .num_kv_heads = 2,
                                               .head_dim = 8,
                                               .kv_dtype = KvDtype::kF16},
                                              "s1");
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ(session->session_id, "s1");
  EXPECT_EQ(session->spec.kv_dtype, KvDtype::kF16);
  EXPECT_THAT(session->layer_lengths, ElementsAre(0, 0, 0));
  EXPECT_EQ(session->created_at, absl::FromUnixSeconds(1'700'000'000));
}

TEST_F(ClientSessionsTest, EveryCallCarriesItsSessionForTheProxy) {
  Make("s1");
  EXPECT_TRUE(client_->AppendKv(Append("s1", 3)).ok());
  EXPECT_TRUE(client_->ForkSession("s1", "s2", 2).ok());
  EXPECT_TRUE(client_->TruncateSession("s1", 1, 0).ok());
  EXPECT_TRUE(client_->GetSession("s1").ok());
  EXPECT_TRUE(client_->ListSessions().ok());
  EXPECT_TRUE(client_->DeleteSession("s1").ok());
  EXPECT_THAT(server_.session_calls(),
              ElementsAre("CreateSession s1", "AppendKv s1", "ForkSession s1",
                          "TruncateSession s1", "GetSession s1",
                          "ListSessions -", "DeleteSession s1"));
}

TEST_F(ClientSessionsTest, ServerMakesTheIdWhereNoneIsGiven) {
  const auto session = client_->CreateSession({.head_dim = 4});
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ(session->session_id, "made-0");
  EXPECT_THAT(server_.session_calls(), ElementsAre("CreateSession -"));
}

TEST_F(ClientSessionsTest, LengthsFollowAppendForkAndTruncate) {
  Make("s1");
  EXPECT_EQ(client_->AppendKv(Append("s1", 3)).value(), 3);
  EXPECT_EQ(client_->AppendKv(Append("s1", 2, 3)).value(), 5);
  EXPECT_THAT(client_->GetSession("s1")->layer_lengths, ElementsAre(5, 0));
  EXPECT_THAT(client_->TruncateSession("s1", 4, 0)->layer_lengths,
              ElementsAre(4, 0));
  EXPECT_THAT(client_->ForkSession("s1", "s2")->layer_lengths,
              ElementsAre(4, 0));
  EXPECT_THAT(client_->ForkSession("s1", "s3", 0)->layer_lengths,
              ElementsAre(0, 0));
  EXPECT_THAT(client_->TruncateSession("s2", 0)->layer_lengths,
              ElementsAre(0, 0));
}

TEST_F(ClientSessionsTest, AsynchronousAppendGivesTheLength) {
  Make("s1");
  absl::Notification done;
  absl::StatusOr<uint64_t> length;
  client_->AppendKvAsync(Append("s1", 7), [&](absl::StatusOr<uint64_t> found) {
    length = std::move(found);
    done.Notify();
  });
  done.WaitForNotification();
  EXPECT_EQ(length.value(), 7);
}

TEST_F(ClientSessionsTest, LengthMismatchSaysWhatTheServerFound) {
  Make("s1");
  ASSERT_TRUE(client_->AppendKv(Append("s1", 3)).ok());
  const absl::Status status = client_->AppendKv(Append("s1", 1, 2)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(status), "LENGTH_MISMATCH");
  EXPECT_EQ(FoundLength(status), 3);
}

TEST_F(ClientSessionsTest, AppendIsRetriedOnlyWithExpectedLength) {
  Make("s1");
  server_.ExpectSessionCalls({{kUnavailable}});
  EXPECT_FALSE(client_->AppendKv(Append("s1", 1)).ok());
  EXPECT_THAT(Calls(), ElementsAre("AppendKv s1"));
  server_.ExpectSessionCalls({{kUnavailable}});
  EXPECT_TRUE(client_->AppendKv(Append("s1", 1, 0)).ok());
  EXPECT_EQ(Calls().size(), 3);
}

TEST_F(ClientSessionsTest, ReadsAndTruncationsAreRetried) {
  Make("s1");
  server_.ExpectSessionCalls({{kUnavailable}});
  EXPECT_TRUE(client_->GetSession("s1").ok());
  server_.ExpectSessionCalls({{kUnavailable}});
  EXPECT_TRUE(client_->ListSessions().ok());
  server_.ExpectSessionCalls({{kUnavailable}});
  EXPECT_TRUE(client_->TruncateSession("s1", 0).ok());
  EXPECT_EQ(Calls().size(), 6);
}

// A second attempt would find the session made or gone.
TEST_F(ClientSessionsTest, CreateForkAndDeleteAreNotRetried) {
  Make("s1");
  for (int i = 0; i < 3; ++i) {
    server_.ExpectSessionCalls({{kUnavailable}});
    const absl::Status status =
        i == 0 ? client_->CreateSession({.head_dim = 4}, "s2").status()
               : (i == 1 ? client_->ForkSession("s1", "s3").status()
                         : client_->DeleteSession("s1"));
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << i;
  }
  EXPECT_EQ(server_.session_calls().size(), 4);
}

TEST_F(ClientSessionsTest, ListWalksAllPages) {
  for (const char* id : {"a", "b", "c", "d", "e"}) {
    Make(id);
  }
  const auto page = client_->ListSessions(1, "b");
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->sessions.size(), 1);
  EXPECT_EQ(page->sessions[0].session_id, "c");
  EXPECT_EQ(page->next_page_token, "c");
  const auto all = client_->ListAllSessions();
  ASSERT_TRUE(all.ok()) << all.status();
  std::vector<std::string> ids;
  for (const Session& session : *all) {
    ids.push_back(session.session_id);
  }
  EXPECT_THAT(ids, ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(ClientSessionsTest, DeletedSessionIsGone) {
  Make("s1");
  EXPECT_TRUE(client_->DeleteSession("s1").ok());
  const absl::Status status = client_->DeleteSession("s1");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorReason(status), "SESSION_NEVER_EXISTED");
}

// gRPC ends the process for metadata that HTTP/2 does not take.
TEST_F(ClientSessionsTest, IdThatCannotBeMetadataReachesTheServerAlone) {
  EXPECT_EQ(client_->GetSession("a\nb").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(server_.session_calls(), ElementsAre("GetSession -"));
  AttendRequest request;
  request.session = {.session_id = "a\nb"};
  EXPECT_EQ(client_->Attend(request).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(ClientSessionsTest, AttendAppendsToASession) {
  Make("s1");
  AttendRequest request;
  request.query = Tensor::FromFloats({1, 2, 3, 4}, {1, 1, 1, 4}).value();
  request.key = request.query;
  request.value = request.query;
  request.session = {.session_id = "s1", .layer = 1, .expected_length = 0};
  const auto response = client_->Attend(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->session_length, 1);
  EXPECT_THAT(client_->GetSession("s1")->layer_lengths, ElementsAre(0, 1));
}

TEST_F(ClientSessionsTest, ExportedBytesImportAsTheSession) {
  ASSERT_TRUE(client_->CreateSession({.head_dim = 8}, "s1").ok());
  std::stringstream file;
  ASSERT_TRUE(client_->ExportSession("s1", WriteTo(file)).ok());
  EXPECT_EQ(file.str(), "snapshot of s1");
  const auto imported = client_->ImportSession(ReadFrom(file), "s2");
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->session_id, "s2");
  EXPECT_THAT(
      server_.session_calls(),
      ElementsAre("CreateSession s1", "ExportSession s1", "ImportSession s2"));
}

TEST_F(ClientSessionsTest, SinkAndSourceEndATransferWithTheirError) {
  ASSERT_TRUE(client_->CreateSession({.head_dim = 8}, "s1").ok());
  std::stringstream broken;
  broken.setstate(std::ios::badbit);
  EXPECT_TRUE(absl::IsDataLoss(client_->ExportSession("s1", WriteTo(broken))));
  EXPECT_TRUE(
      absl::IsDataLoss(client_->ImportSession(ReadFrom(broken)).status()));
  EXPECT_THAT(server_.session_ids(), ElementsAre("s1"));
}

}  // namespace
}  // namespace attn::client
