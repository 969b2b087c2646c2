#include "client/cpp/attnctl/attend_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "client/cpp/attnctl/npy.h"

namespace attn::attnctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AttendFlagsTest : public ::testing::Test {
 protected:
  AttendFlagsTest() { AddAttendFlags(app_, flags_); }

  // Parses `line` after the required --query.
  void Parse(const std::string& line) {
    app_.parse("--query " + QueryPath() + " " + line);
  }
  std::string LoadError() {
    return std::string(LoadRequest(flags_).status().message());
  }
  static std::string QueryPath() {
    return ::testing::TempDir() + "/attend_flags_query.npy";
  }

  CLI::App app_;
  AttendFlags flags_;
};

TEST_F(AttendFlagsTest, EveryOptionReachesTheRequest) {
  Parse(
      "--layout bse --num-q-heads 4 --num-kv-heads 2 --kv-lengths 5,3 "
      "--scale 0.5 --causal bottom-right --causal-offset -2 --left-window 3 "
      "--right-window 0 --softcap 30 --alibi-slopes 0.5,0.25 --sinks -1,2 "
      "--output-dtype bf16 --lse --weights biased --top-k 7 --request-id r "
      "--priority high --deadline 250ms --rope-base 10000 --rope-dim 8 "
      "--rope-interleaved --rope-scaling-factor 2 --rope-positions 1,2 "
      "--rope-key-positions 3 --session-id s --layer 2 --expected-length 9");
  const client::AttendRequest& request = flags_.request;
  EXPECT_EQ(request.layout, client::Layout::kBse);
  EXPECT_EQ(request.num_q_heads, 4);
  EXPECT_EQ(request.num_kv_heads, 2);
  EXPECT_THAT(request.kv_lengths, ElementsAre(5, 3));
  EXPECT_EQ(request.params.scale, 0.5F);
  EXPECT_EQ(request.params.causal, client::Causal::kBottomRight);
  EXPECT_EQ(request.params.causal_offset, -2);
  EXPECT_EQ(request.params.left_window, 3);
  EXPECT_EQ(request.params.right_window, 0);
  EXPECT_EQ(request.params.softcap, 30);
  EXPECT_THAT(request.params.alibi_slopes, ElementsAre(0.5F, 0.25F));
  EXPECT_THAT(request.params.sinks, ElementsAre(-1.0F, 2.0F));
  EXPECT_EQ(request.output.dtype, client::DType::kBf16);
  EXPECT_TRUE(request.output.return_lse);
  EXPECT_EQ(request.output.weights, client::Weights::kBiased);
  EXPECT_EQ(request.output.top_k, 7);
  EXPECT_EQ(request.request_id, "r");
  EXPECT_EQ(request.priority, client::Priority::kHigh);
  EXPECT_EQ(flags_.deadline, absl::Milliseconds(250));
  EXPECT_EQ(flags_.rope.params.base, 10000);
  EXPECT_EQ(flags_.rope.params.rotary_dim, 8);
  EXPECT_TRUE(flags_.rope.params.interleaved);
  EXPECT_EQ(flags_.rope.params.scaling_factor, 2);
  EXPECT_THAT(flags_.rope.params.positions, ElementsAre(1, 2));
  EXPECT_THAT(flags_.rope.params.key_positions, ElementsAre(3));
  EXPECT_EQ(flags_.session.session_id, "s");
  EXPECT_EQ(flags_.session.layer, 2);
  EXPECT_EQ(flags_.session.expected_length, 9);
}

TEST_F(AttendFlagsTest, RopeFlagsHaveShortNamesToo) {
  Parse("--rotary-dim 8 --rope-scaling 2 --positions 1,2 --key-positions 3");
  EXPECT_EQ(flags_.rope.params.rotary_dim, 8);
  EXPECT_EQ(flags_.rope.params.scaling_factor, 2);
  EXPECT_THAT(flags_.rope.params.positions, ElementsAre(1, 2));
  EXPECT_THAT(flags_.rope.params.key_positions, ElementsAre(3));
}

TEST_F(AttendFlagsTest, BadValuesAreUsageErrors) {
  for (const char* line : {"--causal left", "--scale wide", "--priority 7",
                           "--deadline soon", "--deadline -1s", "--layout abcd",
                           "--num-q-heads -1", "--unknown 1", "--weights 3"}) {
    EXPECT_THROW(Parse(line), CLI::ParseError) << line;
  }
  EXPECT_THROW(app_.parse("--key k.npy"), CLI::ParseError);
}

TEST_F(AttendFlagsTest, FilesAreReadAndConverted) {
  const auto query = client::Tensor::FromFloats({1, 2}, {1, 1, 1, 2});
  ASSERT_TRUE(WriteNpy(QueryPath(), *query).ok());
  Parse("--input-dtype bf16 --show-weights --lse-out l.npy");
  const auto request = LoadRequest(flags_);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->query.dtype(), client::DType::kBf16);
  EXPECT_FALSE(request->key.present());
  EXPECT_FALSE(request->params.rope.has_value());
  EXPECT_FALSE(request->session.has_value());
  EXPECT_EQ(request->output.weights, client::Weights::kProbabilities);
  EXPECT_TRUE(request->output.return_lse);
}

TEST_F(AttendFlagsTest, DoublesAreSentAsTheyAre) {
  const auto query = client::Tensor::FromDoubles({1.0 / 3}, {1, 1, 1, 1});
  ASSERT_TRUE(WriteNpy(QueryPath(), *query).ok());
  Parse("--key " + QueryPath() + " --value " + QueryPath() +
        " --output-dtype f64");
  const auto request = LoadRequest(flags_);
  ASSERT_TRUE(request.ok()) << request.status();
  for (const client::Tensor& tensor :
       {request->query, request->key, request->value}) {
    EXPECT_EQ(tensor.dtype(), client::DType::kF64);
    EXPECT_EQ(tensor.bytes(), query->bytes());
  }
  EXPECT_EQ(request->output.dtype, client::DType::kF64);
}

TEST_F(AttendFlagsTest, RopeTablesAreRead) {
  const auto table = client::Tensor::FromDoubles({0.5, 0.25}, {1, 2});
  ASSERT_TRUE(WriteNpy(QueryPath(), *table).ok());
  Parse("--rope-cos " + QueryPath() + " --rope-sin " + QueryPath() +
        " --input-dtype f32");
  const auto request = LoadRequest(flags_);
  ASSERT_TRUE(request.ok()) << request.status();
  ASSERT_TRUE(request->params.rope.has_value());
  EXPECT_EQ(request->params.rope->cos.bytes(), table->bytes());
  EXPECT_EQ(request->params.rope->sin.bytes(), table->bytes());
}

TEST_F(AttendFlagsTest, FlagsThatDoNotFitTogetherAreNamed) {
  Parse("--row bank");
  const char* error =
      "--tokens, --query-tokens and --row need --show-weights, --html or "
      "--top-k";
  EXPECT_EQ(LoadError(), error);
  flags_.view.row = "";
  flags_.query_tokens_path = "t.txt";
  EXPECT_EQ(LoadError(), error);
}

TEST_F(AttendFlagsTest, TopKMayNameRowsAndKeysButHasNoColumns) {
  const auto query = client::Tensor::FromFloats({1}, {1, 1, 1, 1});
  ASSERT_TRUE(WriteNpy(QueryPath(), *query).ok());
  Parse("--top-k 3 --tokens t.txt --row bank");
  EXPECT_EQ(LoadError(), "");
  flags_.view.column = "river";
  EXPECT_EQ(LoadError(), "--column needs --show-weights");
  flags_.show_weights = true;
  EXPECT_EQ(LoadError(), "");
}

TEST_F(AttendFlagsTest, PageAsksForProbabilities) {
  const auto query = client::Tensor::FromFloats({1}, {1, 1, 1, 1});
  ASSERT_TRUE(WriteNpy(QueryPath(), *query).ok());
  Parse("--html page.html --tokens t.txt --row bank");
  const auto request = LoadRequest(flags_);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->output.weights, client::Weights::kProbabilities);
}

TEST_F(AttendFlagsTest, ViewShowsProbabilitiesOnly) {
  Parse("--show-weights --weights raw");
  EXPECT_THAT(LoadError(), HasSubstr("--html show probabilities"));
}

}  // namespace
}  // namespace attn::attnctl
