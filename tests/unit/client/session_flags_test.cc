#include "client/cpp/attnctl/session_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace attn::attnctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SessionFlagsTest, EveryFieldOfTheSpecHasAFlag) {
  CLI::App app;
  SessionCreateFlags flags;
  AddSessionCreateFlags(app, flags);
  app.parse(
      "s1 --layers 2 --kv-heads 3 --head-dim 64 --value-head-dim 32 "
      "--kv-dtype int8 --max-length 4096 --window 128 --idle-ttl 90s --json");
  EXPECT_EQ(flags.session_id, "s1");
  EXPECT_EQ(flags.spec.num_layers, 2);
  EXPECT_EQ(flags.spec.num_kv_heads, 3);
  EXPECT_EQ(flags.spec.head_dim, 64);
  EXPECT_EQ(flags.spec.value_head_dim, 32);
  EXPECT_EQ(flags.spec.kv_dtype, client::KvDtype::kInt8);
  EXPECT_EQ(flags.spec.max_length, 4096);
  EXPECT_EQ(flags.spec.window, 128);
  EXPECT_EQ(flags.spec.idle_ttl, absl::Seconds(90));
  EXPECT_TRUE(flags.json);
}

TEST(SessionFlagsTest, MissingAndBadValuesAreUsageErrors) {
  for (const char* line : {"s1", "--head-dim 8 --kv-dtype f64",
                           "--head-dim 8 --idle-ttl soon", "--head-dim -1"}) {
    CLI::App app;
    SessionCreateFlags flags;
    AddSessionCreateFlags(app, flags);
    EXPECT_THROW(app.parse(line), CLI::ParseError) << line;
  }
}

TEST(SessionFlagsTest, AppendTakesFilesOrRandomRows) {
  for (const char* line : {"s1 --random 5 --key k.npy", "s1 --random 0",
                           "--random 5", "s1 --layer 1 --all-layers --random 5",
                           "s1 --seed 3", "s1 --random 5 --layout bshd"}) {
    CLI::App app;
    SessionAppendFlags flags;
    AddSessionAppendFlags(app, flags);
    EXPECT_THROW(app.parse(line), CLI::ParseError) << line;
  }
  CLI::App app;
  SessionAppendFlags flags;
  AddSessionAppendFlags(app, flags);
  app.parse("s1 --layer 2 --expected-length 9 --rope-base 10000 --random 5");
  const auto request = LoadAppend(flags);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->session.session_id, "s1");
  EXPECT_EQ(request->session.layer, 2);
  EXPECT_EQ(request->session.expected_length, 9);
  EXPECT_EQ(request->rope->base, 10000);
}

TEST(SessionFlagsTest, AppendNeedsKeyAndValue) {
  SessionAppendFlags flags;
  flags.key = "k.npy";
  EXPECT_THAT(std::string(LoadAppend(flags).status().message()),
              HasSubstr("--random"));
  flags.value = "/no/such.npy";
  flags.key = flags.value;
  EXPECT_EQ(LoadAppend(flags).status().code(), absl::StatusCode::kNotFound);
}

TEST(SessionFlagsTest, AttendHasTheFlagsOfAttend) {
  CLI::App app;
  SessionAttendFlags flags;
  AddSessionAttendFlags(app, flags);
  app.parse("s1 --layer 1 --random 3 --q-heads 4 --causal top-left --lse");
  EXPECT_EQ(flags.attend.session.session_id, "s1");
  EXPECT_EQ(flags.attend.session.layer, 1);
  EXPECT_EQ(flags.num_q_heads, 4);
  EXPECT_EQ(flags.attend.request.params.causal, client::Causal::kTopLeft);
  EXPECT_TRUE(flags.attend.request.output.return_lse);
}

TEST(SessionFlagsTest, RandomRowsFitTheSpec) {
  const client::SessionSpec spec = {
      .num_kv_heads = 2, .head_dim = 8, .value_head_dim = 6};
  const RandomTokens random = {.tokens = 5, .dtype = client::DType::kBf16};
  const auto problem = RandomProblem(spec, random, 4);
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_THAT(problem->query.shape(), ElementsAre(1, 4, 5, 8));
  EXPECT_THAT(problem->key.shape(), ElementsAre(1, 2, 5, 8));
  EXPECT_THAT(problem->value.shape(), ElementsAre(1, 2, 5, 6));
  EXPECT_EQ(problem->key.dtype(), client::DType::kBf16);
  EXPECT_THAT(RandomProblem(spec, random, 0)->query.shape(),
              ElementsAre(1, 2, 5, 8));
  EXPECT_FALSE(RandomProblem(spec, {.tokens = int64_t{1} << 31}, 0).ok());
}

}  // namespace
}  // namespace attn::attnctl
