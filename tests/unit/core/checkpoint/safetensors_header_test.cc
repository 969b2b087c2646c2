#include "core/checkpoint/safetensors_header.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/safetensors_case.h"

namespace attn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

// {"a": ...} of these fields.
std::string Tensor(const std::string& dtype, const std::string& shape,
                   const std::string& offsets, const std::string& name = "a") {
  return "{\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}}";
}

std::string Refusal(const std::string& json, int64_t data_bytes) {
  const auto tensors = ParseSafetensorsHeader(json, data_bytes);
  EXPECT_EQ(tensors.status().code(), absl::StatusCode::kInvalidArgument)
      << json;
  return std::string(tensors.status().message());
}

TEST(SafetensorsHeaderTest, TensorsComeInTheOrderOfTheirBytes) {
  const auto tensors = ParseSafetensorsHeader(
      R"({"__metadata__":{"format":"pt"},
          "b":{"dtype":"F32","shape":[2,3],"data_offsets":[4,28]},
          "c":{"dtype":"I8","shape":[0],"data_offsets":[4,4]},
          "a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})",
      28);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  ASSERT_THAT(*tensors, SizeIs(3));
  EXPECT_EQ((*tensors)[0].name, "a");
  EXPECT_EQ((*tensors)[1].name, "c");
  EXPECT_EQ((*tensors)[2].name, "b");
  EXPECT_EQ((*tensors)[2].dtype, "F32");
  EXPECT_THAT((*tensors)[2].shape, ElementsAre(2, 3));
  EXPECT_EQ((*tensors)[2].begin, 4);
  EXPECT_EQ((*tensors)[2].end, 28);
}

TEST(SafetensorsHeaderTest, ScalarsAndFilesWithoutTensorsAreFine) {
  const auto scalar = ParseSafetensorsHeader(Tensor("F64", "[]", "[0,8]"), 8);
  ASSERT_TRUE(scalar.ok()) << scalar.status();
  EXPECT_THAT(scalar->front().shape, IsEmpty());
  const auto none = ParseSafetensorsHeader("{}   ", 0);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_THAT(*none, IsEmpty());
}

TEST(SafetensorsHeaderTest, ShapeMustFitItsBytes) {
  EXPECT_EQ(Refusal(Tensor("F32", "[2]", "[0,4]"), 4),
            "tensor \"a\": shape and dtype must fit the bytes of data_offsets; "
            "got {\"data_offsets\":[0,4],\"dtype\":\"F32\",\"shape\":[2]}");
  // 2^62 * 4 and 2^32 * 2^32 are 0 where products wrap.
  Refusal(Tensor("F32", "[4611686018427387904]", "[0,0]"), 0);
  Refusal(Tensor("I8", "[4294967296,4294967296]", "[0,0]"), 0);
}

TEST(SafetensorsHeaderTest, SizesAreNonNegativeIntegers) {
  for (const char* shape :
       {"[-1]", "[1.0]", "[\"1\"]", "[null]", "1", "[18446744073709551615]",
        "[1e0]", "[true]", "[1,1,1,1,1,1,1,1,1]"}) {
    EXPECT_THAT(Refusal(Tensor("I8", shape, "[0,1]"), 1),
                HasSubstr("shape must be a list of at most 8 sizes; got"))
        << shape;
  }
  for (const char* offsets : {"[1,0]", "[0]", "[0,1,1]", "[-1,0]", "{}"}) {
    EXPECT_THAT(Refusal(Tensor("I8", "[1]", offsets), 1),
                HasSubstr("data_offsets must be a begin and an end"))
        << offsets;
  }
}

TEST(SafetensorsHeaderTest, UnknownDtypesAreRefused) {
  EXPECT_THAT(Refusal(Tensor("F4", "[1]", "[0,1]"), 1),
              HasSubstr("dtype must be one of the format's; got \"F4\""));
  Refusal(R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,1]}})", 1);
}

TEST(SafetensorsHeaderTest, BytesHaveNoHoleAndNoOverlap) {
  const std::string two =
      R"({"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},)"
      R"("b":{"dtype":"I8","shape":[2],"data_offsets":[B,E]}})";
  const auto with = [&two](char begin, char end) {
    std::string json = two;
    json[json.find('B')] = begin;
    json[json.find('E')] = end;
    return json;
  };
  EXPECT_TRUE(ParseSafetensorsHeader(with('2', '4'), 4).ok());
  EXPECT_EQ(Refusal(with('1', '3'), 4),
            "tensor \"b\": must begin where the tensor before it ends, at 2; "
            "got 1");
  EXPECT_THAT(Refusal(with('3', '5'), 5), HasSubstr("at 2; got 3"));
  EXPECT_EQ(Refusal(with('2', '4'), 5),
            "the tensors must end where the file does, at 5 behind the header; "
            "got 4");
  EXPECT_THAT(Refusal(with('2', '4'), 3), HasSubstr("at 3 behind"));
}

TEST(SafetensorsHeaderTest, NamesComeOnce) {
  const std::string one =
      R"("a":{"dtype":"I8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_EQ(Refusal("{" + one + "," + one + "}", 0),
            "the header must have each name once; got \"a\" twice");
  EXPECT_THAT(Refusal(R"({"a":{"dtype":"I8","dtype":"I8","shape":[0],)"
                      R"("data_offsets":[0,0]}})",
                      0),
              HasSubstr("got \"dtype\" twice"));
}

TEST(SafetensorsHeaderTest, OtherJsonIsRefused) {
  for (const char* json : {"", "{", "[]", "1", "{}x", "{\"a\":1", "nul",
                           "{\"a\":{\"b\":[[0]]}}"}) {
    EXPECT_THAT(Refusal(json, 0), StartsWith("the header must be")) << json;
  }
  EXPECT_THAT(Refusal(R"({"a":[]})", 0), HasSubstr("must be an object of"));
  EXPECT_THAT(Refusal(R"({"a":{"dtype":"I8","shape":[0]}})", 0),
              HasSubstr("must be an object of dtype, shape and data_offsets"));
  EXPECT_THAT(Refusal(R"({"__metadata__":{"a":1}})", 0),
              StartsWith("__metadata__ must be an object of strings"));
  // As deep as a parser that recurses would not survive.
  Refusal(std::string(100000, '['), 0);
  // What is no UTF-8 is shown escaped, or not at all.
  Refusal("{\"\xff\":1}", 0);
}

TEST(SafetensorsHeaderTest, SizeIsBoundedByTheFile) {
  EXPECT_EQ(*ParseSafetensorsSize(test::SizeBytes(92), 100), 92);
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{93},
                              uint64_t{1} << 63, ~uint64_t{0}}) {
    EXPECT_FALSE(ParseSafetensorsSize(test::SizeBytes(size), 100).ok()) << size;
  }
  EXPECT_FALSE(
      ParseSafetensorsSize(test::SizeBytes(100'000'001), int64_t{1} << 40)
          .ok());
  EXPECT_FALSE(ParseSafetensorsSize(test::SizeBytes(2), 8).ok());
}

}  // namespace
}  // namespace attn
