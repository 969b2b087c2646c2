#include "client/cpp/attnctl/layer_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "client/cpp/attnctl/npy.h"

namespace attn::attnctl {
namespace {

using client::Causal;
using client::Tensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string File(const std::string& name, const client::Shape& shape) {
  const std::vector<float> ones(client::NumElements(shape).value(), 1.0F);
  std::string path = ::testing::TempDir() + "/layer_flags_" + name;
  EXPECT_TRUE(WriteNpy(path, Tensor::FromFloats(ones, shape).value()).ok());
  return path;
}

absl::StatusOr<client::ForwardRequest> Parsed(const std::string& line) {
  CLI::App app;
  LayerForwardFlags flags;
  AddLayerForwardFlags(app, flags);
  app.parse(line);
  return LoadForward(flags);
}

TEST(LayerFlagsTest, EveryFieldOfAForwardHasAFlag) {
  const auto request = Parsed(
      "m/3 --hidden " + File("hidden.npy", {1, 2, 4}) + " --context " +
      File("context.npy", {1, 3, 4}) + " --mask " + File("mask.npy", {2, 3}) +
      " --input-dtype bf16 --kv-lengths 3 --causal none --causal-offset 5"
      " --positions 6,7 --output-dtype f16 --lse --weights biased --top-k 2"
      " --session chat --session-layer 4 --expected-length 9"
      " --priority high --request-id me");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->layer, "m/3");
  EXPECT_THAT(request->hidden.shape(), ElementsAre(1, 2, 4));
  EXPECT_EQ(request->hidden.dtype(), client::DType::kBf16);
  EXPECT_THAT(request->context.shape(), ElementsAre(1, 3, 4));
  EXPECT_EQ(request->context.dtype(), client::DType::kBf16);
  EXPECT_EQ(request->attn_mask.dtype(), client::DType::kF32);
  EXPECT_THAT(request->kv_lengths, ElementsAre(3));
  EXPECT_EQ(request->causal, Causal::kNone);
  EXPECT_EQ(request->causal_offset, 5);
  EXPECT_THAT(request->positions, ElementsAre(6, 7));
  EXPECT_EQ(request->output.dtype, client::DType::kF16);
  EXPECT_TRUE(request->output.return_lse);
  EXPECT_EQ(request->output.weights, client::Weights::kBiased);
  EXPECT_EQ(request->output.top_k, 2);
  EXPECT_EQ(request->session->session_id, "chat");
  EXPECT_EQ(request->session->layer, 4);
  EXPECT_EQ(request->session->expected_length, 9);
  EXPECT_EQ(request->priority, client::Priority::kHigh);
  EXPECT_EQ(request->request_id, "me");
}

TEST(LayerFlagsTest, NothingIsSentThatNoFlagSays) {
  const auto request = Parsed("m/3 --hidden " + File("h.npy", {1, 2, 4}));
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_FALSE(request->causal.has_value());
  EXPECT_FALSE(request->session.has_value());
  EXPECT_FALSE(request->context.present());
}

TEST(LayerFlagsTest, FileForLseAsksForIt) {
  const auto request =
      Parsed("m/3 --lse-out l.npy --hidden " + File("h.npy", {1, 2, 4}));
  EXPECT_TRUE(request->output.return_lse);
}

TEST(LayerFlagsTest, MissingAndBadValuesAreUsageErrors) {
  for (const char* line :
       {"m/3", "--hidden x.npy", "m/3 --hidden x --query y",
        "m/3 --hidden x --causal yes", "m/3 --hidden x --input-dtype f64"}) {
    EXPECT_THROW(static_cast<void>(Parsed(line)), CLI::ParseError) << line;
  }
  EXPECT_THAT(Parsed("m/3 --hidden /no/such.npy").status().message(),
              HasSubstr("/no/such.npy"));
}

TEST(LayerFlagsTest, LoadTakesAFormat) {
  CLI::App app;
  LayerLoadFlags flags;
  AddLayerLoadFlags(app, flags);
  app.parse("m/3 --weights int8 --output json");
  EXPECT_EQ(flags.name, "m/3");
  EXPECT_EQ(flags.weights, client::WeightFormat::kInt8);
  EXPECT_TRUE(flags.json);
}

}  // namespace
}  // namespace attn::attnctl
