// Two tenants of the real server: what one has, the other cannot see, use or
// end; what one may have, it cannot exceed; and one's flood is its own trouble.
#include <atomic>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "client/cpp/error_details.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire_case.h"

namespace attn::test {
namespace {

using absl::StatusCode;
using client::CallOptions;
using testing::ElementsAre;
using testing::IsEmpty;

// A page of the sessions here: 64 tokens of 2 heads of 16 + 24 floats.
constexpr int64_t kPageBytes = 64 * 2 * (16 + 24) * 4;

std::string WriteFile(const std::string& name, const std::string& text) {
  std::string path = testing::TempDir() + "/tenants_test_" + name;
  std::ofstream(path) << text;
  return path;
}

std::vector<std::string> Flags() {
  return {"--token-file",
          WriteFile("tokens",
                    "a token-of-tenant-a-0001\n"
                    "b token-of-tenant-b-0001\n"
                    "operator token-of-operator-1 monitor\n"),
          "--tenants",
          WriteFile("limits", "a max-sessions=2 queue-share=25% kv-memory=" +
                                  std::to_string(4 * kPageBytes) + "\nb\n"),
          "--workers",
          "1",
          "--max-queue-tasks",
          "64"};
}

CallOptions As(const std::string& tenant) {
  CallOptions options;
  options.metadata = {
      {"authorization", "Bearer token-of-tenant-" + tenant + "-0001"}};
  return options;
}

AttentionCase Tokens(int64_t length) {
  CaseOptions options;
  options.num_q_heads = 4;
  options.q_len = options.kv_len = length;
  options.value_head_dim = 24;
  options.params.causal = CausalMode::kTopLeft;
  return MakeCase(options);
}

class TenantsTest : public testing::Test {
 protected:
  static client::SessionSpec Spec() {
    return {.num_layers = 1,
            .num_kv_heads = 2,
            .head_dim = 16,
            .value_head_dim = 24};
  }
  void MustCreate(const std::string& tenant, const std::string& id) {
    const auto made = client_->CreateSession(Spec(), id, As(tenant));
    EXPECT_TRUE(made.ok()) << made.status();
  }
  // Appends n tokens and attends to them.
  absl::Status Step(const std::string& tenant, const std::string& id,
                    int64_t n) {
    const AttentionCase whole = Tokens(n);
    return client_->Attend(ToSessionRequest(whole, 0, n, id), As(tenant))
        .status();
  }
  absl::Status Append(const std::string& tenant, const std::string& id,
                      int64_t n) {
    const client::AttendRequest tokens = ToSessionRequest(Tokens(n), 0, n, id);
    return client_
        ->AppendKv({.session = *tokens.session,
                    .key = tokens.key,
                    .value = tokens.value},
                   As(tenant))
        .status();
  }
  // What every method says about a session, by its name.
  std::map<std::string, absl::Status> AskAll(const std::string& tenant,
                                             const std::string& id) {
    const auto nowhere = [](std::string_view) { return absl::OkStatus(); };
    const CallOptions as = As(tenant);
    return {
        {"Attend", Step(tenant, id, 1)},
        {"AppendKv", Append(tenant, id, 1)},
        {"GetSession", client_->GetSession(id, as).status()},
        {"ForkSession", client_->ForkSession(id, "fork", {}, as).status()},
        {"TruncateSession", client_->TruncateSession(id, 0, {}, as).status()},
        {"ExportSession", client_->ExportSession(id, nowhere, as)},
        {"DeleteSession", client_->DeleteSession(id, as)}};
  }
  std::vector<std::string> List(const std::string& tenant) {
    const auto sessions = client_->ListAllSessions(As(tenant));
    if (!sessions.ok()) return {sessions.status().ToString()};
    std::vector<std::string> ids;
    for (const client::Session& session : *sessions) {
      ids.push_back(session.session_id);
    }
    return ids;
  }
  void ExpectError(const absl::Status& status, const std::string& reason) {
    EXPECT_EQ(client::ErrorReason(status), reason) << status;
  }

  ServerProcess server_{Flags()};
  std::unique_ptr<client::Client> client_ = server_.NewClient();
};

TEST_F(TenantsTest, AnothersSessionIsAsOneThatNeverWas) {
  MustCreate("a", "mine");
  ASSERT_TRUE(Append("a", "mine", 70).ok());
  const auto unknown = AskAll("b", "none");
  for (const auto& [method, status] : AskAll("b", "mine")) {
    EXPECT_EQ(status.code(), StatusCode::kNotFound) << method;
    ExpectError(status, "SESSION_NEVER_EXISTED");
    const std::string text(status.message());
    EXPECT_EQ(absl::StrReplaceAll(text, {{"mine", "none"}}),
              unknown.at(method).message())
        << method;
  }
  EXPECT_THAT(List("b"), IsEmpty());
  EXPECT_THAT(List("a"), ElementsAre("mine"));
  EXPECT_EQ(client_->GetSession("mine", As("a"))->layer_lengths.front(), 70u);
}

TEST_F(TenantsTest, AnothersEndIsNotTold) {
  MustCreate("a", "gone");
  ASSERT_TRUE(client_->DeleteSession("gone", As("a")).ok());
  ExpectError(client_->GetSession("gone", As("a")).status(), "SESSION_DELETED");
  ExpectError(client_->GetSession("gone", As("b")).status(),
              "SESSION_NEVER_EXISTED");
}

TEST_F(TenantsTest, IdsOfOneAreFreeForTheOther) {
  MustCreate("a", "s");
  ASSERT_TRUE(Append("a", "s", 70).ok());
  std::stringstream snapshot;
  ASSERT_TRUE(
      client_->ExportSession("s", client::WriteTo(snapshot), As("a")).ok());
  const auto imported =
      client_->ImportSession(client::ReadFrom(snapshot), "", As("b"));
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->session_id, "s");
  ASSERT_TRUE(client_->DeleteSession("s", As("b")).ok());
  EXPECT_EQ(client_->GetSession("s", As("a"))->layer_lengths.front(), 70u);
}

TEST_F(TenantsTest, QuotasAreEachTenantsOwn) {
  for (const char* id : {"x", "y"}) MustCreate("a", id);
  const absl::Status sessions =
      client_->CreateSession(Spec(), "z", As("a")).status();
  ExpectError(sessions, "QUOTA");
  EXPECT_EQ(sessions.message(),
            "sessions of tenant a must be at most 2; there are 2 and none is "
            "past its idle_ttl");
  for (const char* id : {"x", "y", "z"}) MustCreate("b", id);
  ASSERT_TRUE(Append("a", "x", 4 * 64).ok());
  const absl::Status memory = Step("a", "y", 1);
  ExpectError(memory, "QUOTA");
  EXPECT_EQ(memory.message(),
            "KV memory of tenant a must be at most 81920 bytes; 81920 are in "
            "use, and 20480 more do not fit");
  EXPECT_TRUE(Append("b", "x", 20 * 64).ok());
  ASSERT_TRUE(client_->DeleteSession("x", As("a")).ok());
  EXPECT_TRUE(Step("a", "y", 1).ok());
}

// One tenant keeps a thousand calls on their way; the other one's are all
// answered.
TEST_F(TenantsTest, FloodOfOneRefusesOneAlone) {
  CaseOptions large;
  large.q_len = large.kv_len = 256;
  const client::AttendRequest request = ToRequest(MakeCase(large));
  const client::AttendRequest small = ToRequest(MakeCase({}));
  constexpr int kFlood = 1000;
  std::atomic<int> num_answered{0}, num_full{0}, num_others{0};
  absl::BlockingCounter left(kFlood);
  for (int i = 0; i < kFlood; ++i) {
    client_->AttendAsync(
        request,
        [&](const absl::StatusOr<client::AttendResponse>& response) {
          const bool is_full =
              client::ErrorReason(response.status()) == "QUEUE_FULL";
          ++(response.ok() ? num_answered : is_full ? num_full : num_others);
          left.DecrementCount();
        },
        As("a"));
    if (i % 20 != 0) continue;
    const auto response = client_->Attend(small, As("b"));
    EXPECT_TRUE(response.ok()) << response.status();
  }
  left.Wait();
  EXPECT_GT(num_full, 0) << "it was no flood";
  EXPECT_GT(num_answered, 0);
  EXPECT_EQ(num_others, 0);
}

}  // namespace
}  // namespace attn::test
