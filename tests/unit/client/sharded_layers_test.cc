// Layers over several servers without a proxy (sharded_client.h), against
// servers in the same process (fake_server.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "client/cpp/error_details.h"
#include "client/cpp/sharded_client.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/unit/client/fake_server.h"

namespace attn::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kUnavailable = 14;

// NOT_FOUND with the reason of a session that was never there.
FakeOutcome Lost() {
  google::rpc::ErrorInfo info;
  info.set_reason("SESSION_NEVER_EXISTED");
  google::rpc::Status details;
  details.add_details()->PackFrom(info);
  return {.code = 5, .details = details.SerializeAsString()};
}

class ShardedLayersTest : public ::testing::Test {
 protected:
  std::unique_ptr<ShardedClient> Connect(
      SessionRestorer restorer = nullptr) const {
    return ShardedClient::Create(
               {.addresses = {servers_[0].address(), servers_[1].address(),
                              servers_[2].address()},
                .client = {.retry = {.max_attempts = 1}},
                .away_pause = absl::InfiniteDuration(),
                .restore_session = std::move(restorer)})
        .value();
  }

  static ForwardRequest Request(const std::string& session_id = "") {
    ForwardRequest request = {
        .request_id = session_id,
        .layer = "tiny/0",
        .hidden = Tensor::FromFloats({1, 2, 3, 4}, {1, 1, 4}).value()};
    if (!session_id.empty()) {
      request.session =
          SessionRef{.session_id = session_id, .expected_length = 4};
    }
    return request;
  }

  // An id of server `i`.
  static std::string IdOn(ShardedClient& sharded, size_t i) {
    for (int n = 0;; ++n) {
      std::string id = absl::StrCat("s", n);
      if (&sharded.ServerOf(id) == &sharded.server(i)) return id;
    }
  }

  std::array<FakeServer, 3> servers_;
};

TEST_F(ShardedLayersTest, ForwardWithASessionGoesToItsServer) {
  const auto sharded = Connect();
  for (const size_t i : {2, 0, 1}) {  // Not in turn.
    const std::string id = IdOn(*sharded, i);
    const auto response = sharded->Forward(Request(id));
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->session_length, 5);
    EXPECT_THAT(servers_[i].layer_calls(),
                ElementsAre(absl::StrCat("Forward ", id)));
  }
}

TEST_F(ShardedLayersTest, StatelessForwardsGoRoundAndPassOverAnAwayServer) {
  const auto sharded = Connect();
  servers_[1].ExpectLayerCalls({{kUnavailable}});
  for (int i = 0; i < 5; ++i) {
    const auto response = sharded->Forward(Request());
    ASSERT_TRUE(response.ok()) << response.status();
  }
  EXPECT_THAT(servers_[0].layer_calls(), SizeIs(3));
  EXPECT_THAT(servers_[1].layer_calls(), SizeIs(1));
  EXPECT_THAT(servers_[2].layer_calls(), SizeIs(2));
}

TEST_F(ShardedLayersTest, AwayServerOfASessionIsNotPassedOver) {
  const auto sharded = Connect();
  servers_[2].ExpectLayerCalls({{kUnavailable}});
  const absl::Status away =
      sharded->Forward(Request(IdOn(*sharded, 2))).status();
  EXPECT_EQ(away.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorServer(away), servers_[2].address());
  EXPECT_THAT(servers_[0].layer_calls(), IsEmpty());
  EXPECT_THAT(servers_[1].layer_calls(), IsEmpty());
}

TEST_F(ShardedLayersTest, LostSessionIsRestoredAndForwardedAgain) {
  std::string restored;
  const auto sharded =
      Connect([&](const LostSession& lost, Client& /*server*/) {
        restored = lost.session_id;
        return absl::OkStatus();
      });
  const std::string id = IdOn(*sharded, 1);
  // The call, and once more before the restorer is asked.
  servers_[1].ExpectLayerCalls({Lost(), Lost()});
  const auto response = sharded->Forward(Request(id));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(restored, id);
  EXPECT_THAT(servers_[1].layer_calls(), SizeIs(3));
}

TEST_F(ShardedLayersTest, AsynchronousForwardAsksTheSameServer) {
  const auto sharded = Connect();
  const std::string id = IdOn(*sharded, 2);
  servers_[2].ExpectLayerCalls({{}, {kUnavailable}});
  for (const bool succeeds : {true, false}) {
    absl::Notification done;
    absl::StatusOr<ForwardResponse> response;
    sharded->ForwardAsync(Request(id),
                          [&](absl::StatusOr<ForwardResponse> found) {
                            response = std::move(found);
                            done.Notify();
                          });
    done.WaitForNotification();
    EXPECT_EQ(response.ok(), succeeds) << response.status();
    EXPECT_EQ(ErrorServer(response.status()),
              succeeds ? "" : servers_[2].address());
  }
}

TEST_F(ShardedLayersTest, BatchesAreSplitByServer) {
  const auto sharded = Connect();
  std::vector<ForwardRequest> requests = {Request()};
  for (const size_t i : {2, 1, 0, 2, 1}) {
    requests.push_back(Request(IdOn(*sharded, i)));
  }
  servers_[1].ExpectLayerCalls({{kUnavailable}});
  const auto results = sharded->ForwardBatch(requests);
  ASSERT_EQ(results.size(), requests.size());
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].response.request_id, requests[i].request_id);
    const bool is_away = i == 2 || i == 5;
    EXPECT_EQ(results[i].status.ok(), !is_away) << i << results[i].status;
    EXPECT_EQ(ErrorServer(results[i].status),
              is_away ? servers_[1].address() : "");
  }
  for (const FakeServer& server : servers_) {
    EXPECT_THAT(server.layer_calls(), ElementsAre("ForwardBatch -"));
  }
}

TEST_F(ShardedLayersTest, BatchPassesOverAServerThatWasAway) {
  const auto sharded = Connect();
  servers_[0].ExpectLayerCalls({{kUnavailable}});
  EXPECT_FALSE(sharded->ForwardBatch({Request()}).front().status.ok());
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(sharded->ForwardBatch({Request()}).front().status.ok());
  }
  EXPECT_THAT(servers_[0].layer_calls(), SizeIs(1));
}

}  // namespace
}  // namespace attn::client
