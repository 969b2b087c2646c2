// `attnctl plan` knows how much memory a real server takes for sessions, and
// what it proposes holds them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/attnctl/capacity_plan.h"
#include "client/cpp/attnctl/session_flags.h"
#include "tests/integration/server_process.h"

namespace attn::test {
namespace {

using attnctl::FootprintOf;
using client::KvDtype;
using client::SessionSpec;

absl::Status Append(client::Client& client, const std::string& session_id,
                    const SessionSpec& spec, int64_t tokens) {
  const auto problem = attnctl::RandomProblem(spec, {.tokens = tokens}, 0);
  if (!problem.ok()) {
    return problem.status();
  }
  for (uint32_t layer = 0; layer < spec.num_layers; ++layer) {
    client::AppendRequest append;
    append.session = {.session_id = session_id, .layer = layer};
    append.key = problem->key;
    append.value = problem->value;
    const auto appended = client.AppendKv(append);
    if (!appended.ok()) {
      return appended.status();
    }
  }
  return absl::OkStatus();
}

std::vector<SessionSpec> Specs() {
  return {
      {.num_layers = 3, .num_kv_heads = 2, .head_dim = 64},
      {.num_layers = 2,
       .num_kv_heads = 8,
       .head_dim = 128,
       .kv_dtype = KvDtype::kBf16},
      {.num_kv_heads = 3,
       .head_dim = 33,
       .value_head_dim = 7,
       .kv_dtype = KvDtype::kF16},
      {.num_layers = 2,
       .num_kv_heads = 4,
       .head_dim = 100,
       .value_head_dim = 24,
       .kv_dtype = KvDtype::kInt8},
      {.num_kv_heads = 1, .head_dim = 1, .kv_dtype = KvDtype::kInt8},
  };
}

TEST(PlanTest, FootprintIsWhatTheServerReports) {
  const ServerProcess server;
  const auto client = server.NewClient();
  int number = 0;
  for (const SessionSpec& spec : Specs()) {
    for (const int64_t tokens : {1, 63, 64, 65, 200}) {
      const std::string id = absl::StrCat("s", number++);
      ASSERT_TRUE(client->CreateSession(spec, id).ok());
      ASSERT_EQ(Append(*client, id, spec, tokens), absl::OkStatus());
      EXPECT_EQ(FootprintOf(spec, tokens)->kv_bytes,
                static_cast<int64_t>(client->GetSession(id)->kv_bytes))
          << "spec " << number << ", " << tokens << " tokens";
    }
  }
}

// Pages of 1.1 MiB, of which a slab of 8 MiB takes 7; and INT8 pages, of which
// the open ones are four times as large.
TEST(PlanTest, ServerWithThePlannedMemoryHoldsThePlannedSessions) {
  for (const SessionSpec& spec :
       {SessionSpec{.num_kv_heads = 9, .head_dim = 250},
        SessionSpec{.num_layers = 2,
        .num_kv_heads = 8,
        .head_dim = 128,
        .kv_dtype = KvDtype::kInt8}}) {
    attnctl::CapacityRequest request;
    request.spec = spec;
    request.tokens = 200;
    request.sessions = 20;
    request.headroom = 0;
    const auto plan = attnctl::MakePlan(request);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const ServerProcess server(
        {"--kv-memory", attnctl::SizeFlagText(plan->kv_memory),
         "--max-sessions", absl::StrCat(plan->max_sessions)});
    const auto client = server.NewClient();
    for (int64_t i = 0; i < request.sessions; ++i) {
      const std::string id = absl::StrCat("s", i);
      ASSERT_TRUE(client->CreateSession(spec, id).ok());
      // In steps, as a decoder does: INT8 holds open pages in between.
      ASSERT_EQ(Append(*client, id, spec, 130), absl::OkStatus()) << id;
      ASSERT_EQ(Append(*client, id, spec, 70), absl::OkStatus()) << id;
    }
    EXPECT_FALSE(client->CreateSession(spec, "one-more").ok());
    EXPECT_EQ(server.Metrics().Sum("attn_kv_bytes"),
              static_cast<double>(plan->all_bytes));
  }
}

}  // namespace
}  // namespace attn::test
