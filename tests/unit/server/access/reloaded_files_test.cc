#include "server/access/reloaded_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace attn {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

// Two files, of which the second must say what the first does.
class ReloadedFilesTest : public testing::Test {
 protected:
  using Pair = ReloadedFiles<std::string>;

  void SetUp() override {
    std::string name = testing::TempDir() + "reloaded_files_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  void WriteBoth(const std::string& folder, const std::string& text) const {
    Write(folder + "/one", text);
    Write(folder + "/two", text);
  }

  absl::StatusOr<std::unique_ptr<Pair>> Open(const std::string& folder) const {
    return Pair::Open(
        {folder_ / folder / "one", folder_ / folder / "two"},
        [](const Pair::Texts& texts) -> absl::StatusOr<std::string> {
          if (texts[0] == texts[1]) return texts[0];
          return absl::InvalidArgumentError("they differ");
        });
  }

  fs::path folder_;
};

TEST_F(ReloadedFilesTest, GivesWhatTheFilesSay) {
  WriteBoth("now", "a");
  const auto files = Open("now");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(*(*files)->contents(), "a");
  EXPECT_EQ((*files)->Reload().value(), ReloadOutcome::kUnchanged);
}

TEST_F(ReloadedFilesTest, TakesChangedFiles) {
  WriteBoth("now", "a");
  const auto files = Open("now");
  ASSERT_TRUE(files.ok()) << files.status();
  const auto before = (*files)->contents();
  WriteBoth("now", "b");
  EXPECT_EQ((*files)->Reload().value(), ReloadOutcome::kReloaded);
  EXPECT_EQ(*(*files)->contents(), "b");
  EXPECT_EQ(*before, "a");  // Lives on for who has it.
}

TEST_F(ReloadedFilesTest, SeesASwappedLinkToTheFolder) {
  WriteBoth("1", "a");
  WriteBoth("2", "b");
  fs::create_directory_symlink("1", folder_ / "now");
  const auto files = Open("now");
  ASSERT_TRUE(files.ok()) << files.status();
  fs::create_directory_symlink("2", folder_ / "next");
  fs::rename(folder_ / "next", folder_ / "now");
  EXPECT_EQ((*files)->Reload().value(), ReloadOutcome::kReloaded);
  EXPECT_EQ(*(*files)->contents(), "b");
}

TEST_F(ReloadedFilesTest, KeepsTheOldOnesWhileTheNewMakeNoSense) {
  WriteBoth("now", "a");
  const auto files = Open("now");
  ASSERT_TRUE(files.ok()) << files.status();
  Write("now/two", "b");
  EXPECT_EQ((*files)->Reload().status().message(), "they differ");
  EXPECT_EQ(*(*files)->contents(), "a");
  // Told once.
  EXPECT_EQ((*files)->Reload().value(), ReloadOutcome::kUnchanged);
  Write("now/one", "b");
  EXPECT_EQ((*files)->Reload().value(), ReloadOutcome::kReloaded);
  EXPECT_EQ(*(*files)->contents(), "b");
}

TEST_F(ReloadedFilesTest, KeepsTheOldOnesWhileAFileIsGone) {
  WriteBoth("now", "a");
  const auto files = Open("now");
  ASSERT_TRUE(files.ok()) << files.status();
  fs::remove(folder_ / "now/two");
  EXPECT_THAT(std::string((*files)->Reload().status().message()),
              HasSubstr("now/two"));
  EXPECT_EQ((*files)->Reload().value(), ReloadOutcome::kUnchanged);
  EXPECT_EQ(*(*files)->contents(), "a");
}

TEST_F(ReloadedFilesTest, DoesNotOpenWithFilesThatMakeNoSense) {
  EXPECT_EQ(Open("now").status().code(), absl::StatusCode::kNotFound);
  Write("now/one", "a");
  Write("now/two", "b");
  EXPECT_EQ(Open("now").status().message(), "they differ");
  WriteBoth("now", std::string((1 << 20) + 1, 'a'));
  EXPECT_THAT(std::string(Open("now").status().message()),
              HasSubstr("at most 1048576 bytes"));
}

}  // namespace
}  // namespace attn
