#include "client/cpp/attnctl/partial_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "client/cpp/attnctl/transfer_progress.h"

namespace attn::attnctl {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class PartialFileTest : public ::testing::Test {
 protected:
  const std::string path_ = ::testing::TempDir() + "/partial_file_test";
  const std::string partial_ = path_ + ".partial";

  PartialFileTest() { std::ofstream(path_) << "old"; }
};

TEST_F(PartialFileTest, IsThereOnlyWhenCommitted) {
  auto file = PartialFile::Create(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Write("ne").ok());
  ASSERT_TRUE(file->Write("w").ok());
  EXPECT_EQ(Contents(path_), "old");
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(Contents(path_), "new");
  EXPECT_FALSE(std::ifstream(partial_).good());
}

TEST_F(PartialFileTest, DroppedFileLeavesTheOldOne) {
  {
    auto file = PartialFile::Create(path_);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE(file->Write("half").ok());
    EXPECT_EQ(Contents(partial_), "half");
  }
  EXPECT_EQ(Contents(path_), "old");
  EXPECT_FALSE(std::ifstream(partial_).good());
}

TEST_F(PartialFileTest, DevicesAreWrittenInPlace) {
  auto file = PartialFile::Create("/dev/null");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->Write("gone").ok());
  EXPECT_TRUE(file->Commit().ok());
  EXPECT_FALSE(std::ifstream("/dev/null.partial").good());
}

TEST_F(PartialFileTest, TextIsWrittenWholeOrTheReasonSaid) {
  EXPECT_TRUE(WriteText(path_, "text").ok());
  EXPECT_EQ(Contents(path_), "text");
  EXPECT_TRUE(WriteText("", "nowhere").ok());
  EXPECT_EQ(WriteText(path_ + "/none", "text").code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(TransferProgressTest, SaysBytesAndRate) {
  EXPECT_EQ(RenderTransfer(3 << 20, absl::Seconds(2)), "3.0 MiB, 1.5 MiB/s");
  EXPECT_EQ(RenderTransfer(0, absl::ZeroDuration()), "0.0 MiB, 0.0 MiB/s");
}

}  // namespace
}  // namespace attn::attnctl
