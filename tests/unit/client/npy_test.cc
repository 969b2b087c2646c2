#include "client/cpp/attnctl/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "client/cpp/attnctl/npy_dict.h"

namespace attn::attnctl {
namespace {

using client::DType;
using client::Tensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A version 1 file with `dict` as its header.
std::string File(const std::string& dict, const std::string& data,
                 char major = 1) {
  std::string file = "\x93NUMPY";
  file += {major, '\0', static_cast<char>(dict.size() % 256),
           static_cast<char>(dict.size() / 256)};
  if (major > 1) {
    file += {'\0', '\0'};
  }
  return file + dict + data;
}

std::string Dict(const std::string& descr, const std::string& shape,
                 const std::string& order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order +
         ", 'shape': " + shape + ", }\n";
}

std::string ErrorOf(const std::string& file) {
  const auto tensor = ParseNpy(file);
  return tensor.ok() ? "" : std::string(tensor.status().message());
}

TEST(NpyTest, ReadsEveryTypeAndVersion) {
  const std::pair<const char*, DType> types[] = {
      {"<f4", DType::kF32},  {"<f2", DType::kF16},  {"<f8", DType::kF64},
      {"|b1", DType::kBool}, {"<i4", DType::kI32},  {"<i8", DType::kI64},
      {"<V2", DType::kBf16}, {"|V2", DType::kBf16}, {"bfloat16", DType::kBf16}};
  for (const auto& [descr, dtype] : types) {
    for (const char major : {'\x01', '\x02', '\x03'}) {
      const std::string data(2 * client::ElementBytes(dtype), 'x');
      const auto tensor = ParseNpy(File(Dict(descr, "(2,)"), data, major));
      ASSERT_TRUE(tensor.ok()) << tensor.status();
      EXPECT_EQ(tensor->dtype(), dtype);
      EXPECT_THAT(tensor->shape(), ElementsAre(2));
      EXPECT_EQ(tensor->bytes(), data);
    }
  }
}

TEST(NpyTest, ReadsScalarsAndEmptyArrays) {
  EXPECT_THAT(ParseNpy(File(Dict("<f4", "()"), "abcd"))->shape(),
              ElementsAre());
  EXPECT_THAT(ParseNpy(File(Dict("<f4", "(3, 0, 2)"), ""))->shape(),
              ElementsAre(3, 0, 2));
}

TEST(NpyTest, WhatIsWrittenReadsBack) {
  for (const client::Shape& shape :
       {client::Shape{}, {6}, {1, 2, 3}, {1, 1, 1, 1, 1, 1, 2, 3}}) {
    const int64_t count = client::NumElements(shape).value();
    const Tensor tensor =
        Tensor::Own(DType::kBf16, shape, std::string(2 * count, 'z'));
    const std::string file = SerializeNpy(tensor).value();
    EXPECT_EQ((file.size() - tensor.bytes().size()) % 64, 0);
    const auto read = ParseNpy(file);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->dtype(), DType::kBf16);
    EXPECT_EQ(read->shape(), shape);
    EXPECT_EQ(read->bytes(), tensor.bytes());
  }
}

// As `numpy.save` of numpy.arange(3, dtype="<f4") writes it.
TEST(NpyTest, WritesWhatNumpyWrites) {
  const std::string numpy =
      std::string("\x93NUMPY\x01\x00v\x00", 10) +
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }" +
      std::string(60, ' ') + "\n";
  const auto tensor = Tensor::FromFloats({0, 1, 2}, {3});
  const std::string file = SerializeNpy(*tensor).value();
  EXPECT_EQ(file.substr(0, 128), numpy);
}

TEST(NpyTest, RefusesWhatItDoesNotMean) {
  EXPECT_THAT(ErrorOf(File(Dict("<f4", "(1,)", "True"), "abcd")),
              HasSubstr("fortran_order must be False"));
  EXPECT_THAT(ErrorOf(File(Dict(">f4", "(1,)"), "abcd")),
              HasSubstr("little-endian; got '>f4'"));
  EXPECT_THAT(ErrorOf(File(Dict("<c8", "(1,)"), "abcdefgh")),
              HasSubstr("got '<c8'"));
  EXPECT_THAT(ErrorOf(File(Dict("<f4", "(1,)"), "abcd", 4)),
              HasSubstr("version must be 1.0, 2.0 or 3.0; got 4.0"));
  EXPECT_THAT(ErrorOf("PK\x03\x04 something else"), HasSubstr("NUMPY"));
  EXPECT_NE(ErrorOf(""), "");
}

TEST(NpyTest, DataMustHaveExactlyTheSizeOfTheShape) {
  EXPECT_THAT(ErrorOf(File(Dict("<f4", "(2,)"), "abcdefg")),
              HasSubstr("[2] f32 needs 8 bytes of data; got 7"));
  EXPECT_THAT(ErrorOf(File(Dict("<f4", "(1,)"), "abcde")), HasSubstr("got 5"));
  EXPECT_THAT(ErrorOf(File(Dict("<f8", "(2305843009213693952, 2)"), "")),
              HasSubstr("too large"));
  EXPECT_THAT(ErrorOf(File(Dict("<f4", "(2305843009213693952,)"), "")),
              HasSubstr("needs"));
  EXPECT_NE(ErrorOf(File(Dict("<f4", "(99999999999999999999,)"), "")), "");
}

TEST(NpyTest, LongHeaderIsRefusedBeforeItIsRead) {
  std::string file = "\x93NUMPY";
  file += {'\x02', '\0', '\0', '\0', '\0', '\x7f'};
  EXPECT_THAT(ErrorOf(file), HasSubstr("header must be at most 65536 bytes"));
}

TEST(NpyTest, DictionariesThatAreNotExactlyOnesOfNumpyAreRefused) {
  constexpr const char* kTwice =
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, "
      "'shape': (1,)}";
  constexpr const char* kNineDims =
      "{'descr': '<f4', 'fortran_order': False, "
      "'shape': (1,1,1,1,1,1,1,1,1)}";
  for (const char* dict :
       {"", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': '1'}",
        kTwice, "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}", kNineDims,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,,)}",
        "__import__('os')"}) {
    EXPECT_FALSE(ParseNpyDict(dict).ok()) << dict;
  }
  EXPECT_TRUE(
      ParseNpyDict("{\"shape\":(1,2),'fortran_order':False,'descr':'<f4'}")
          .ok());
}

TEST(NpyTest, EveryTruncationIsAnError) {
  const std::string file = File(Dict("<f4", "(2,)"), "abcdefgh");
  for (size_t length = 0; length < file.size(); ++length) {
    EXPECT_FALSE(ParseNpy(file.substr(0, length)).ok()) << length;
  }
  EXPECT_TRUE(ParseNpy(file).ok());
}

TEST(NpyTest, GarbageNeverCrashes) {
  const std::string file = File(Dict("<f4", "(2,)"), "abcdefgh");
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = file;
    for (int k = 0; k < 1 + round % 4; ++k) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    static_cast<void>(ParseNpy(damaged));
  }
}

TEST(NpyTest, FilesNameTheirPathInErrors) {
  const auto missing = ReadNpy("/nonexistent/q.npy");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()),
              HasSubstr("/nonexistent/q.npy"));
  const std::string path = ::testing::TempDir() + "/npy_test.npy";
  const auto tensor = Tensor::FromFloats({1, 2}, {2});
  ASSERT_TRUE(WriteNpy(path, *tensor).ok());
  EXPECT_EQ(ReadNpy(path)->bytes(), tensor->bytes());
  EXPECT_FALSE(WriteNpy("/nonexistent/q.npy", *tensor).ok());
}

}  // namespace
}  // namespace attn::attnctl
