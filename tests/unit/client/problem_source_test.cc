#include "client/cpp/attnctl/problem_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace attn::attnctl {
namespace {

using ::testing::ElementsAre;

TEST(ProblemSourceTest, RequestsHaveTheShapeAsked) {
  const auto source = ProblemSource::Create({.batch_size = 2,
                                             .num_q_heads = 4,
                                             .num_kv_heads = 2,
                                             .q_len = {3, 3},
                                             .kv_len = {5, 5},
                                             .head_dim = 8,
                                             .value_head_dim = 6,
                                             .dtype = client::DType::kBf16},
                                            1);
  const client::AttendRequest request = source->Make(7);
  EXPECT_EQ(request.request_id, "7");
  EXPECT_THAT(request.query.shape(), ElementsAre(2, 4, 3, 8));
  EXPECT_THAT(request.key.shape(), ElementsAre(2, 2, 5, 8));
  EXPECT_THAT(request.value.shape(), ElementsAre(2, 2, 5, 6));
  EXPECT_TRUE(request.query.Check().ok());
  EXPECT_TRUE(request.key.Check().ok());
  EXPECT_TRUE(request.value.Check().ok());
}

TEST(ProblemSourceTest, SameIndexGivesTheSameBytes) {
  const ProblemShape shape = {.q_len = {1, 9}, .kv_len = {1, 300}};
  const auto first = ProblemSource::Create(shape, 1);
  const auto second = ProblemSource::Create(shape, 1);
  const auto other = ProblemSource::Create(shape, 2);
  for (uint64_t index = 0; index < 20; ++index) {
    EXPECT_EQ(first->Make(index).key.bytes(), second->Make(index).key.bytes());
    EXPECT_NE(first->Make(index).key.bytes(), other->Make(index).key.bytes());
  }
}

TEST(ProblemSourceTest, LengthsAreLogUniformAndReachBothEnds) {
  const LengthRange range = {16, 2048};
  int small = 0;
  bool first = false;
  bool last = false;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    const int64_t length =
        DrawLength(range, static_cast<uint64_t>(i) * (UINT64_MAX / kDraws));
    ASSERT_GE(length, 16);
    ASSERT_LE(length, 2048);
    small += length < 181 ? 1 : 0;  // The geometric middle.
    first = first || length == 16;
    last = last || length == 2048;
  }
  EXPECT_NEAR(small, kDraws * 0.5, kDraws * 0.01);
  EXPECT_TRUE(first);
  EXPECT_TRUE(last);
}

TEST(ProblemSourceTest, RangeFromZeroReachesZero) {
  EXPECT_EQ(DrawLength({0, 8}, 0), 0);
  EXPECT_EQ(DrawLength({0, 8}, UINT64_MAX), 8);
  EXPECT_EQ(DrawLength({5, 5}, 12345), 5);
}

TEST(ProblemSourceTest, TooLargeTensorsAreRefusedBeforeTheyAreMade) {
  const auto source = ProblemSource::Create(
      {.batch_size = int64_t{1} << 30, .kv_len = {1 << 20, 1 << 20}}, 1);
  EXPECT_EQ(source.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace attn::attnctl
