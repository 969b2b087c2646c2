#include "core/checkpoint/checkpoint.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/safetensors_case.h"

namespace attn {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kConfig =
    R"({"model_type":"gpt2","n_layer":1,"n_embd":8,"n_head":2})";

// A file with one tensor of bytes.
std::string OneTensor(const std::string& name, const std::string& bytes) {
  return test::Safetensors(R"({")" + name + R"(":{"dtype":"U8","shape":[)" +
                               std::to_string(bytes.size()) +
                               R"(],"data_offsets":[0,)" +
                               std::to_string(bytes.size()) + "]}}",
                           bytes);
}

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    Write("config.json", kConfig);
  }
  ~CheckpointTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, std::string_view bytes) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << bytes;
  }
  void WriteIndex(const std::string& weight_map) {
    Write("model.safetensors.index.json",
          R"({"metadata":{"total_size":5},"weight_map":)" + weight_map + "}");
  }
  std::string Refusal(absl::StatusCode code) {
    const auto checkpoint = Checkpoint::Open(folder_);
    EXPECT_EQ(checkpoint.status().code(), code) << checkpoint.status();
    return std::string(checkpoint.status().message());
  }

  const std::string folder_ =
      ::testing::TempDir() + "checkpoint_test." +
      ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(CheckpointTest, OneFileIsRead) {
  Write("model.safetensors", OneTensor("a", "xyz"));
  const auto checkpoint = Checkpoint::Open(folder_);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->config().family, ModelFamily::kGpt2);
  const auto tensor = checkpoint->Find("a");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->stored.dtype, "U8");
  EXPECT_EQ(tensor->bytes.size(), 3);
  EXPECT_EQ(tensor->bytes[2], std::byte{'z'});
  EXPECT_TRUE(checkpoint->Has("a"));
  EXPECT_FALSE(checkpoint->Has("b"));
  EXPECT_THAT(std::string(checkpoint->Find("b").status().message()),
              AllOf(StartsWith(folder_), HasSubstr("has no tensor b")));
}

TEST_F(CheckpointTest, FilesOfAnIndexAreOneModel) {
  Write("m-1.safetensors", OneTensor("a", "xyz"));
  Write("m-2.safetensors", OneTensor("b", "uv"));
  WriteIndex(R"({"a":"m-1.safetensors","b":"m-2.safetensors"})");
  const auto checkpoint = Checkpoint::Open(folder_);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->Find("a")->bytes[0], std::byte{'x'});
  EXPECT_EQ(checkpoint->Find("b")->bytes[0], std::byte{'u'});
}

TEST_F(CheckpointTest, IndexMustBeTrue) {
  Write("m-1.safetensors", OneTensor("a", "xyz"));
  WriteIndex(R"({"a":"m-1.safetensors","b":"m-1.safetensors"})");
  EXPECT_THAT(Refusal(absl::StatusCode::kInvalidArgument),
              HasSubstr("m-1.safetensors: the index says that it has b"));
  WriteIndex(R"({"a":"m-1.safetensors","b":"m-2.safetensors"})");
  EXPECT_THAT(Refusal(absl::StatusCode::kNotFound),
              HasSubstr("m-2.safetensors"));
  Write("m-2.safetensors", OneTensor("a", "uv"));
  WriteIndex(R"({"a":"m-1.safetensors"})");
  EXPECT_TRUE(Checkpoint::Open(folder_).ok());
}

TEST_F(CheckpointTest, TensorInTwoFilesIsRefused) {
  const std::string both =
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
      R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})";
  Write("m-1.safetensors", test::Safetensors(both, "xy"));
  Write("m-2.safetensors", OneTensor("b", "u"));
  WriteIndex(R"({"a":"m-1.safetensors","b":"m-2.safetensors"})");
  EXPECT_THAT(Refusal(absl::StatusCode::kInvalidArgument),
              HasSubstr("has b, and so has another file"));
}

TEST_F(CheckpointTest, IndexStaysInItsFolder) {
  for (const char* file :
       {"../m.safetensors", "/m.safetensors", "m.bin", "", "a/b.safetensors"}) {
    WriteIndex(std::string(R"({"a":")") + file + R"("})");
    EXPECT_THAT(Refusal(absl::StatusCode::kInvalidArgument),
                HasSubstr("must name a safetensors file of the folder"))
        << file;
  }
  for (const char* map : {"{}", "[]", "7", R"({"a":7})", "{"}) {
    WriteIndex(map);
    EXPECT_THAT(Refusal(absl::StatusCode::kInvalidArgument),
                HasSubstr("model.safetensors.index.json: "))
        << map;
  }
}

TEST_F(CheckpointTest, ErrorsNameTheFile) {
  EXPECT_THAT(Refusal(absl::StatusCode::kNotFound),
              HasSubstr("model.safetensors.index.json"));
  Write("model.safetensors", "");
  EXPECT_THAT(Refusal(absl::StatusCode::kInvalidArgument),
              HasSubstr("model.safetensors: must have at least 8 bytes"));
  Write("config.json", "{}");
  EXPECT_THAT(Refusal(absl::StatusCode::kInvalidArgument),
              HasSubstr("config.json: model_type must be a string"));
  Write("config.json", std::string((size_t{4} << 20) + 1, ' '));
  EXPECT_THAT(Refusal(absl::StatusCode::kInvalidArgument),
              HasSubstr("config.json: must have at most 4194304 bytes"));
  std::filesystem::remove(folder_ + "/config.json");
  EXPECT_THAT(Refusal(absl::StatusCode::kNotFound), HasSubstr("config.json"));
}

}  // namespace
}  // namespace attn
