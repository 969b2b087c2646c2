// Sessions over three real servers without a proxy: they stay where they are,
// and what a lost server means for them.
#include "client/cpp/sharded_client.h"

#include <unistd.h>

#include <csignal>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/error_details.h"
#include "client/cpp/rendezvous.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace attn::test {
namespace {

using client::AttendRequest;
using client::ErrorReason;
using client::ErrorServer;
using client::ShardedClient;
using client::Tensor;
using testing::HasSubstr;
using testing::StartsWith;

const client::SessionSpec kSpec = {.head_dim = 4};

Tensor Rows(int64_t n) {
  return *Tensor::FromFloats(
      std::vector<float>(static_cast<size_t>(n) * 4, 0.5F), {1, 1, n, 4});
}

AttendRequest Stateless() {
  AttendRequest request;
  request.query = request.key = request.value = Rows(1);
  return request;
}

AttendRequest Step(const std::string& id, uint64_t expected_length) {
  AttendRequest request = Stateless();
  request.session =
      client::SessionRef{.session_id = id, .expected_length = expected_length};
  return request;
}

class ShardedClientTest : public testing::Test {
 protected:
  static constexpr size_t kServers = 3;

  ShardedClientTest() {
    for (size_t i = 0; i < kServers; ++i) {
      addresses_.push_back(absl::StrCat("unix:", testing::TempDir(), "attn",
                                        getpid(), "-", i, ".sock"));
      Start(i);
    }
  }

  // At the address that it has for ever.
  void Start(size_t i) {
    servers_[i] = std::make_unique<ServerProcess>(
        std::vector<std::string>{"--grpc-address", addresses_[i]});
  }

  void Kill(size_t i) {
    servers_[i]->Signal(SIGKILL);
    servers_[i]->Wait();
  }

  std::unique_ptr<ShardedClient> Connect(
      client::SessionRestorer restorer = nullptr) const {
    return ShardedClient::Create({.addresses = addresses_,
                                  .client = {.retry = {.max_attempts = 1}},
                                  .restore_session = std::move(restorer)})
        .value();
  }

  // An id of that server.
  std::string IdOn(size_t server) const {
    for (int i = 0;; ++i) {
      std::string id = absl::StrCat("s", i);
      if (client::OwnerOf(addresses_, id) == server) return id;
    }
  }

  std::vector<std::string> addresses_;
  std::unique_ptr<ServerProcess> servers_[kServers];
};

TEST_F(ShardedClientTest, SessionsAreWhereTheirIdsSay) {
  const auto sharded = Connect();
  for (int i = 0; i < 60; ++i) {
    const std::string id = absl::StrCat("s", i);
    ASSERT_TRUE(sharded->CreateSession(kSpec, id).ok());
    ASSERT_TRUE(sharded->ServerOf(id).GetSession(id).ok());
  }
  EXPECT_EQ(sharded->ListAllSessions()->size(), 60u);
  const auto other = Connect();  // Another client finds them, too.
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(other->Attend(Step(absl::StrCat("s", i), 0)).ok());
  }
  for (size_t i = 0; i < kServers; ++i) {
    EXPECT_GE(sharded->server(i).ListAllSessions()->size(), 8u);
  }
}

TEST_F(ShardedClientTest, IdsAreMadeHereAndForksStayWithTheirSource) {
  const auto sharded = Connect();
  std::set<std::string> ids;
  for (int i = 0; i < 20; ++i) {
    const auto session = sharded->CreateSession(kSpec);
    ASSERT_TRUE(session.ok()) << session.status();
    const auto fork = sharded->ForkSession(session->session_id);
    ASSERT_TRUE(fork.ok()) << fork.status();
    EXPECT_THAT(fork->session_id, StartsWith(session->session_id + "--"));
    ASSERT_TRUE(sharded->Attend(Step(fork->session_id, 0)).ok());
    ids.insert({session->session_id, fork->session_id});
  }
  EXPECT_EQ(ids.size(), 40u);
  ASSERT_TRUE(sharded->CreateSession(kSpec, "chat").ok());
  const absl::Status foreign = sharded->ForkSession("chat", "draft").status();
  EXPECT_EQ(foreign.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(foreign.message()),
              HasSubstr("must be 'chat--' and more"));
}

TEST_F(ShardedClientTest, StatelessCallsGoRoundAndPassOverALostServer) {
  const auto sharded = Connect();
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(sharded->Attend(Stateless()).ok());
  }
  for (const auto& server : servers_) {
    EXPECT_EQ(server->Metrics().Sum("attn_admitted_tasks_total"), 2.0);
  }
  Kill(1);
  for (int i = 0; i < 10; ++i) {
    const auto response = sharded->Attend(Stateless());
    ASSERT_TRUE(response.ok()) << response.status();
  }
  Kill(0);
  Kill(2);
  const absl::Status none = sharded->Attend(Stateless()).status();
  EXPECT_EQ(none.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(addresses_, testing::Contains(ErrorServer(none)));
}

TEST_F(ShardedClientTest, LostServerLosesItsSessionsAlone) {
  const auto sharded = Connect();
  for (size_t i = 0; i < kServers; ++i) {
    ASSERT_TRUE(sharded->CreateSession(kSpec, IdOn(i)).ok());
  }
  Kill(1);
  const absl::Status away = sharded->Attend(Step(IdOn(1), 0)).status();
  EXPECT_EQ(away.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorServer(away), addresses_[1]);
  EXPECT_THAT(std::string(away.message()), HasSubstr(addresses_[1]));
  for (const size_t i : {0, 2}) {
    EXPECT_TRUE(sharded->Attend(Step(IdOn(i), 0)).ok());
  }
  Start(1);
  const auto again = Connect();
  const absl::Status lost = again->Attend(Step(IdOn(1), 0)).status();
  EXPECT_EQ(lost.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorReason(lost), "SESSION_NEVER_EXISTED");
  EXPECT_EQ(ErrorServer(lost), addresses_[1]);
}

TEST_F(ShardedClientTest, RestorerBringsALostSessionBack) {
  int restored = 0;
  const auto sharded = Connect([&](const client::LostSession& lost,
                                   client::Client& server) {
    ++restored;
    EXPECT_EQ(lost.address, addresses_[1]);
    EXPECT_EQ(ErrorReason(lost.error), "SESSION_NEVER_EXISTED");
    if (auto made = server.CreateSession(kSpec, lost.session_id); !made.ok()) {
      return made.status();
    }
    return server
        .AppendKv({.session = {.session_id = lost.session_id},
                   .key = Rows(3),
                   .value = Rows(3)})
        .status();
  });
  // Never created: lost, as far as anyone can tell.
  EXPECT_EQ(sharded->Attend(Step(IdOn(1), 3))->session_length, 4u);
  EXPECT_EQ(restored, 1);
  EXPECT_EQ(sharded->Attend(Step(IdOn(1), 4))->session_length, 5u);
  EXPECT_EQ(restored, 1);
  // Deleted by someone: that is no loss.
  ASSERT_TRUE(sharded->DeleteSession(IdOn(1)).ok());
  EXPECT_EQ(ErrorReason(sharded->GetSession(IdOn(1)).status()),
            "SESSION_DELETED");
  EXPECT_EQ(restored, 1);
}

TEST_F(ShardedClientTest, RestorerThatFailsSaysWhy) {
  const auto sharded = Connect(
      [](const client::LostSession& /*lost*/, client::Client& /*server*/) {
        return absl::DataLossError("nothing was kept");
      });
  const absl::Status status = sharded->GetSession("gone").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(
      std::string(status.message()),
      HasSubstr("session gone could not be restored: nothing was kept"));
}

TEST_F(ShardedClientTest, BatchesAreSplitByServer) {
  const auto sharded = Connect();
  std::vector<AttendRequest> requests;
  for (int i = 0; i < 30; ++i) {
    const std::string id = absl::StrCat("s", i);
    ASSERT_TRUE(sharded->CreateSession(kSpec, id).ok());
    requests.push_back(i % 3 == 0 ? Stateless() : Step(id, 0));
    requests.back().request_id = id;
  }
  requests.push_back(Step("nobody", 0));
  const auto results = sharded->AttendBatch(requests);
  ASSERT_EQ(results.size(), requests.size());
  for (int i = 0; i < 30; ++i) {
    EXPECT_TRUE(results[i].status.ok()) << results[i].status;
    EXPECT_EQ(results[i].response.request_id, absl::StrCat("s", i));
  }
  EXPECT_EQ(results[30].status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(ErrorServer(results[30].status), "");
}

TEST_F(ShardedClientTest, SnapshotsAndStreamsGoToTheSessionsServer) {
  const auto sharded = Connect();
  for (size_t i = 0; i < kServers; ++i) {
    const std::string id = IdOn(i);
    ASSERT_TRUE(sharded->CreateSession(kSpec, id).ok());
    const auto stream = sharded->OpenStream(id);
    ASSERT_TRUE(stream->Write(Step(id, 0)));
    stream->WritesDone();
    EXPECT_TRUE(stream->Read()->status.ok());
    EXPECT_TRUE(stream->Finish().ok());
    std::string bytes;
    const auto keep = [&bytes](std::string_view chunk) {
      bytes += chunk;
      return absl::OkStatus();
    };
    ASSERT_TRUE(sharded->ExportSession(id, keep).ok());
    ASSERT_TRUE(sharded->DeleteSession(id).ok());
    const auto once = [&bytes]() -> absl::StatusOr<std::string> {
      return std::exchange(bytes, "");
    };
    ASSERT_TRUE(sharded->ImportSession(once, id).ok());
    EXPECT_EQ(sharded->TruncateSession(id, 1)->layer_lengths.front(), 1u);
    EXPECT_EQ(
        *sharded->AppendKv(
            {.session = {.session_id = id}, .key = Rows(2), .value = Rows(2)}),
        3u);
    EXPECT_EQ(sharded->ImportSession(once, "").status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(ShardedClientTest, ListsThatCannotBeAreRefused) {
  EXPECT_THAT(std::string(ShardedClient::Create({}).status().message()),
              HasSubstr("addresses must not be empty"));
  EXPECT_THAT(std::string(ShardedClient::Create({.addresses = {"a:1", "a:1"}})
                              .status()
                              .message()),
              HasSubstr("got 'a:1' more than once"));
}

}  // namespace
}  // namespace attn::test
