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

TEST(TensorTest, DoublesKeepEveryBit) {
  const double third = 1.0 / 3;
  const auto tensor = Tensor::FromDoubles({third, -1e300}, {2});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->dtype(), DType::kF64);
  EXPECT_THAT(tensor->ToDoubles().value(), ElementsAre(third, -1e300));
  const auto same = tensor->ConvertTo(DType::kF64);
  EXPECT_EQ(same->bytes(), tensor->bytes());
  EXPECT_FALSE(Tensor::FromDoubles({1.0}, {2}).ok());
  EXPECT_FALSE(Tensor::FromDoubles({1.0}, {1}, DType::kI64).ok());
}

// Rounded to f32 on the way this would be the midpoint, and end at 1.
TEST(TensorTest, ConversionRoundsOnce) {
  const auto tensor = Tensor::FromDoubles({1 + 0x1p-11 + 0x1p-40}, {1});
  const auto half = tensor->ConvertTo(DType::kF16);
  EXPECT_THAT(half->ToDoubles().value(), ElementsAre(1 + 0x1p-10));
}

TEST(TensorTest, IntegersReadAsIntegers) {
  const Tensor narrow = Tensor::Own(
      DType::kI32, {2}, std::string("\xff\xff\xff\xff\x01\0\0\x01", 8));
  EXPECT_THAT(narrow.ToInts().value(), ElementsAre(-1, 0x1000001));
  EXPECT_THAT(narrow.ToDoubles().value(), ElementsAre(-1, 0x1000001));
  const Tensor wide =
      Tensor::Own(DType::kI64, {1}, std::string("\x01\0\0\0\0\0\0\x40", 8));
  EXPECT_THAT(wide.ToInts().value(), ElementsAre(0x4000000000000001));
  EXPECT_THAT(Tensor::FromBools({true, false}, {2})->ToInts().value(),
              ElementsAre(1, 0));
}

TEST(TensorTest, ToIntsRefusesFloatsAndBytesThatDoNotFit) {
  const auto floats = Tensor::FromFloats({1.0F}, {1});
  EXPECT_EQ(floats->ToInts().status().message(),
            "dtype must be i32, i64 or bool; got f32");
  EXPECT_FALSE(Tensor().ToInts().ok());
  EXPECT_FALSE(Tensor::Own(DType::kI32, {2}, "abcd").ToInts().ok());
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
