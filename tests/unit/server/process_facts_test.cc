#include "server/process_facts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace attn {
namespace {

// A /proc of our own, with a process whose name is as awkward as can be.
std::string MakeProc() {
  std::string root = testing::TempDir() + "proc." + std::to_string(getpid());
  std::filesystem::create_directories(root + "/self/fd");
  std::ofstream(root + "/self/stat")
      << "7 (a) b (c) S 1 7 7 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 12 0 300 "
         "1048576 10 18446744073709551615\n";
  std::ofstream(root + "/stat") << "cpu  1 2 3\nbtime 1000\n";
  std::ofstream(root + "/self/limits")
      << "Limit                     Soft Limit  Hard Limit  Units\n"
         "Max open files            1024        4096        files\n";
  for (const char* fd : {"0", "1", "2"}) {
    std::ofstream(root + "/self/fd/" + fd) << "";
  }
  return root;
}

TEST(ProcessFactsTest, ReadsProc) {
  const ProcessFacts facts = ReadProcessFacts(MakeProc());
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  EXPECT_DOUBLE_EQ(facts.cpu_seconds, 300 / ticks);
  EXPECT_DOUBLE_EQ(facts.start_time_seconds, 1000 + 300 / ticks);
  EXPECT_EQ(facts.virtual_bytes, 1048576);
  EXPECT_EQ(facts.resident_bytes, 10 * sysconf(_SC_PAGESIZE));
  EXPECT_EQ(facts.num_threads, 12);
  EXPECT_EQ(facts.num_open_fds, 3);
  EXPECT_EQ(facts.max_fds, 1024);
}

TEST(ProcessFactsTest, LeavesUnreadableFactsAtZero) {
  const ProcessFacts facts = ReadProcessFacts("/nowhere");
  EXPECT_EQ(facts.cpu_seconds, 0);
  EXPECT_EQ(facts.resident_bytes, 0);
  EXPECT_EQ(facts.num_open_fds, 0);
}

TEST(ProcessFactsTest, HugePagesAreTheModeThatIsChosen) {
  const std::string root =
      testing::TempDir() + "sys." + std::to_string(getpid());
  const std::string folder = root + "/kernel/mm/transparent_hugepage";
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/enabled") << "always [madvise] never\n";
  EXPECT_EQ(ReadHugePages(root), "madvise");
  std::ofstream(folder + "/enabled") << "odd";
  EXPECT_EQ(ReadHugePages(root), "");
  EXPECT_EQ(ReadHugePages("/nowhere"), "");
}

TEST(ProcessFactsTest, FindsThisProcess) {
  const ProcessFacts facts = ReadProcessFacts();
  EXPECT_GT(facts.resident_bytes, 0);
  EXPECT_GE(facts.num_open_fds, 3);
  EXPECT_GE(facts.num_threads, 1);
}

}  // namespace
}  // namespace attn
