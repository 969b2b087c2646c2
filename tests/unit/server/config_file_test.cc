#include "server/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;

auto Entry(const char* key, const char* value, int line) {
  return AllOf(Field(&ConfigEntry::key, key), Field(&ConfigEntry::value, value),
               Field(&ConfigEntry::line, line));
}

TEST(ConfigFileTest, ReadsEntriesAndSkipsComments) {
  const auto entries = ParseConfigText(
      "# a comment\n\n  workers = 2  \r\nlog-level=\"debug\"\nx = a=b");
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_THAT(*entries, ElementsAre(Entry("workers", "2", 3),
                                    Entry("log-level", "debug", 4),
                                    Entry("x", "a=b", 5)));
}

TEST(ConfigFileTest, NamesTheLineThatIsNoEntry) {
  EXPECT_THAT(ParseConfigText("a = 1\n[section]\n").status().message(),
              HasSubstr("line 2: must be key = value; got [section]"));
  EXPECT_THAT(ParseConfigText("a = \"1\n").status().message(),
              HasSubstr("line 1: must close the quote"));
}

TEST(ConfigFileTest, RefusesAKeyThatIsGivenTwice) {
  EXPECT_THAT(ParseConfigText("a = 1\nb = 2\na = 3").status().message(),
              HasSubstr("line 3: a must be given once; line 1 has it too"));
}

TEST(ConfigFileTest, NamesTheFileThatCannotBeRead) {
  for (const char* path : {"/nowhere/attnserve.conf", "/proc"}) {
    const auto entries = ReadConfigFile(path);
    EXPECT_EQ(entries.status().code(), absl::StatusCode::kNotFound) << path;
    EXPECT_THAT(entries.status().message(), HasSubstr(path));
  }
}

TEST(ConfigFileTest, RefusesAFileWithoutEnd) {
  EXPECT_EQ(ReadConfigFile("/dev/zero").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace attn
