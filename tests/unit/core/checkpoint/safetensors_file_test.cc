#include "core/checkpoint/safetensors_file.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/safetensors_case.h"

namespace attn {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kHeader =
    R"({"a":{"dtype":"I8","shape":[3],"data_offsets":[0,3]},)"
    R"("b":{"dtype":"I8","shape":[2],"data_offsets":[3,5]}})";

class SafetensorsFileTest : public ::testing::Test {
 protected:
  ~SafetensorsFileTest() override { std::filesystem::remove(path_); }

  void Write(std::string_view bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  static std::string TextOf(const SafetensorsFile& file, const char* name) {
    const auto bytes = file.BytesOf(*file.Find(name));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  const std::string path_ =
      ::testing::TempDir() + "safetensors_file_test." +
      ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(SafetensorsFileTest, TensorsAreFoundByName) {
  Write(test::Safetensors(kHeader, "abcde"));
  const auto file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors().size(), 2);
  EXPECT_EQ(TextOf(*file, "a"), "abc");
  EXPECT_EQ(TextOf(*file, "b"), "de");
  EXPECT_EQ(file->Find("c"), nullptr);
}

TEST_F(SafetensorsFileTest, OutlivesItsNameAndMoves) {
  Write(test::Safetensors(kHeader, "abcde"));
  auto file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  std::filesystem::remove(path_);
  SafetensorsFile moved = *std::move(file);
  EXPECT_EQ(TextOf(moved, "b"), "de");
  Write(test::Safetensors(kHeader, "vwxyz"));
  auto other = SafetensorsFile::Open(path_);
  ASSERT_TRUE(other.ok()) << other.status();
  moved = *std::move(other);
  EXPECT_EQ(TextOf(moved, "b"), "yz");
}

TEST_F(SafetensorsFileTest, EveryTruncationIsRefusedWithThePath) {
  const std::string whole = test::Safetensors(kHeader, "abcde");
  for (size_t size = 0; size < whole.size(); ++size) {
    Write(std::string_view(whole).substr(0, size));
    const auto file = SafetensorsFile::Open(path_);
    ASSERT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument) << size;
    EXPECT_THAT(std::string(file.status().message()), StartsWith(path_));
  }
  Write(whole + "f");
  EXPECT_FALSE(SafetensorsFile::Open(path_).ok());
}

TEST_F(SafetensorsFileTest, WhatIsNoFileIsRefused) {
  const auto missing = SafetensorsFile::Open(path_);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr(path_));
  const auto folder = SafetensorsFile::Open(::testing::TempDir());
  EXPECT_THAT(std::string(folder.status().message()),
              HasSubstr("must be a regular file"));
}

}  // namespace
}  // namespace attn
