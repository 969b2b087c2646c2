#include "client/cpp/attnctl/named_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using client::Tensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(NamedWeightsTest, RowIsOneQueryOfOneHead) {
  const Tensor weights =
      Tensor::FromFloats({0, 1, 2, 3, 4, 5, 6, 7}, {1, 2, 2, 2}).value();
  const auto named = NameWeights(weights, {});
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_THAT(named->Row(1, 0), ElementsAre(4, 5));
  EXPECT_THAT(named->row_names, ElementsAre("q0", "q1"));
}

TEST(NamedWeightsTest, EmptyAndOtherFormsAreRefused) {
  for (const client::Shape& shape : {client::Shape{1, 2}, {1, 2, 0, 2}}) {
    const size_t count = shape.size() == 2 ? 2 : 0;
    const Tensor weights =
        Tensor::FromFloats(std::vector<float>(count), shape).value();
    EXPECT_THAT(std::string(NameWeights(weights, {}).status().message()),
                HasSubstr("and not empty; got"));
  }
}

TEST(NamedWeightsTest, HeadIsANumberOrTheMean) {
  EXPECT_EQ(FindHead("mean", 2).value(), std::nullopt);
  EXPECT_EQ(FindHead("1", 2).value(), 1u);
  for (const char* other : {"2", "-1", "all", ""}) {
    EXPECT_THAT(std::string(FindHead(other, 2).status().message()),
                HasSubstr("head: must be mean, all or a number below 2"));
  }
}

}  // namespace
}  // namespace attn::attnctl
