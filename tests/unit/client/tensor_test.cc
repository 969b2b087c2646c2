#include "client/cpp/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace attn::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TensorTest, FloatsComeBackThroughEveryFloatType) {
  for (const DType dtype :
       {DType::kF32, DType::kF16, DType::kBf16, DType::kF64}) {
    const auto tensor = Tensor::FromFloats({1.0F, -0.5F, 3.0F}, {3}, dtype);
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->bytes().size(), 3 * ElementBytes(dtype));
    EXPECT_THAT(tensor->ToFloats().value(), ElementsAre(1.0F, -0.5F, 3.0F));
  }
}

TEST(TensorTest, BoolsAndIntegersReadAsFloats) {
  const auto bools = Tensor::FromBools({true, false}, {2});
  EXPECT_THAT(bools->ToFloats().value(), ElementsAre(1.0F, 0.0F));
  const Tensor ints =
      Tensor::Own(DType::kI32, {1}, std::string("\xff\xff\xff\xff", 4));
  EXPECT_THAT(ints.ToFloats().value(), ElementsAre(-1.0F));
}

TEST(TensorTest, ShapeMustHoldTheValues) {
  const auto tensor = Tensor::FromFloats({1.0F, 2.0F}, {3});
  EXPECT_THAT(std::string(tensor.status().message()),
              HasSubstr("shape [3] holds 3 elements; got 2"));
}

TEST(TensorTest, FromFloatsRefusesTypesThatAreNoFloats) {
  EXPECT_FALSE(Tensor::FromFloats({1.0F}, {1}, DType::kI32).ok());
  EXPECT_FALSE(Tensor::FromFloats({1.0F}, {1}, DType::kUnspecified).ok());
}

TEST(TensorTest, CheckFindsBytesThatDoNotFit) {
  EXPECT_TRUE(Tensor::Own(DType::kF32, {}, "abcd").Check().ok());
  EXPECT_FALSE(Tensor::Own(DType::kF32, {1}, "abc").Check().ok());
  EXPECT_FALSE(Tensor::Own(DType::kF32, {2}, "abcd").Check().ok());
  EXPECT_FALSE(Tensor().Check().ok());
}

TEST(TensorTest, NumElementsRefusesNegativeAndOverflowingShapes) {
  EXPECT_EQ(NumElements({2, 3}).value(), 6);
  EXPECT_EQ(NumElements({}).value(), 1);
  EXPECT_FALSE(NumElements({-1}).ok());
  EXPECT_FALSE(NumElements({int64_t{1} << 62, 4}).ok());
  EXPECT_EQ(NumElements({int64_t{1} << 62, 4, 0}).value(), 0);
}

TEST(TensorTest, CopiesShareTheBytes) {
  const Tensor tensor = Tensor::Own(DType::kF32, {1}, "abcd");
  const std::vector<Tensor> copies(2, tensor);
  EXPECT_EQ(copies[0].bytes().data(), tensor.bytes().data());
  EXPECT_EQ(copies[1].bytes().data(), tensor.bytes().data());
}

}  // namespace
}  // namespace attn::client
