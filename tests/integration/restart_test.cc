// A server that dies takes its sessions along: its successor says so and never
// answers from other data; what was exported comes back.
#include <csignal>
#include <string>

#include "client/cpp/error_details.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace attn::test {
namespace {

client::Tensor Rows(int64_t n) {
  return *client::Tensor::FromFloats(
      std::vector<float>(static_cast<size_t>(n) * 4, 0.5F), {1, 1, n, 4});
}

client::AttendRequest Step(const std::string& id, int64_t n,
                           uint64_t expected_length) {
  client::AttendRequest request;
  request.query = request.key = request.value = Rows(n);
  request.session =
      client::SessionRef{.session_id = id, .expected_length = expected_length};
  return request;
}

TEST(RestartTest, OldSessionsAreNotFoundAndTheirExportsComeBack) {
  std::string made, bytes;
  {
    ServerProcess first;
    const auto client = first.NewClient();
    made = client->CreateSession({.head_dim = 4})->session_id;
    ASSERT_TRUE(client->CreateSession({.head_dim = 4}, "mine").ok());
    ASSERT_TRUE(client->Attend(Step(made, 70, 0)).ok());
    ASSERT_TRUE(client->Attend(Step("mine", 70, 0)).ok());
    const auto keep = [&bytes](std::string_view chunk) {
      bytes += chunk;
      return absl::OkStatus();
    };
    ASSERT_TRUE(client->ExportSession(made, keep).ok());
    first.Signal(SIGKILL);
    EXPECT_EQ(first.Wait(), -1);
  }
  const ServerProcess second;
  const auto client = second.NewClient();
  const absl::Status of_server = client->Attend(Step(made, 1, 70)).status();
  EXPECT_EQ(of_server.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client::ErrorReason(of_server), "SERVER_RESTARTED");
  const absl::Status of_client = client->Attend(Step("mine", 1, 70)).status();
  EXPECT_EQ(of_client.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client::ErrorReason(of_client), "SESSION_NEVER_EXISTED");
  // The id in use again is another session, and the old length does not fit.
  ASSERT_TRUE(client->CreateSession({.head_dim = 4}, "mine").ok());
  EXPECT_EQ(client::ErrorReason(client->Attend(Step("mine", 1, 70)).status()),
            "LENGTH_MISMATCH");
  const auto once = [&bytes]() -> absl::StatusOr<std::string> {
    return std::exchange(bytes, "");
  };
  ASSERT_TRUE(client->ImportSession(once).ok());
  EXPECT_TRUE(client->Attend(Step(made, 1, 70)).ok());
}

}  // namespace
}  // namespace attn::test
