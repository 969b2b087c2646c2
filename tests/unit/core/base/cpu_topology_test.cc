#include "core/base/cpu_topology.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace attn {
namespace {

namespace fs = std::filesystem;

// A cgroup tree of a test's own making, gone at its end.
class CpuTopologyTest : public testing::Test {
 protected:
  CpuTopologyTest() {
    std::string name = (fs::path(testing::TempDir()) / "cgroupXXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  ~CpuTopologyTest() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const fs::path full = root_ / path;
    fs::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }

  void WriteV1Quota(const std::string& quota, const std::string& period) {
    Write("cpu/cpu.cfs_quota_us", quota);
    Write("cpu/cpu.cfs_period_us", period);
  }

  int Cpus() const { return UsableCpus(root_.string()); }
  int64_t MemoryBytes() const { return UsableMemoryBytes(root_.string()); }

  // Without any cgroup file: affinity and physical memory alone.
  const int unlimited_cpus_ = UsableCpus("/nonexistent");
  const int64_t unlimited_memory_ = UsableMemoryBytes("/nonexistent");

 private:
  fs::path root_;
};

TEST_F(CpuTopologyTest, WithoutCgroupTheMachineDecides) {
  EXPECT_GE(unlimited_cpus_, 1);
  EXPECT_GT(unlimited_memory_, int64_t{1} << 20);
  EXPECT_EQ(Cpus(), unlimited_cpus_);
  EXPECT_EQ(MemoryBytes(), unlimited_memory_);
}

TEST_F(CpuTopologyTest, V2QuotaBelowAffinityWins) {
  Write("cpu.max", "100000 100000\n");
  EXPECT_EQ(Cpus(), 1);
}

TEST_F(CpuTopologyTest, PartOfACpuCountsAsOne) {
  Write("cpu.max", "10000 100000\n");
  EXPECT_EQ(Cpus(), 1);
}

TEST_F(CpuTopologyTest, QuotaIsRoundedUp) {
  if (unlimited_cpus_ < 2) GTEST_SKIP() << "needs two CPUs";
  Write("cpu.max", "110000 100000\n");
  EXPECT_EQ(Cpus(), 2);
}

TEST_F(CpuTopologyTest, QuotaAboveAffinityChangesNothing) {
  Write("cpu.max", "6400000000 100000\n");
  EXPECT_EQ(Cpus(), unlimited_cpus_);
}

TEST_F(CpuTopologyTest, V2MaxIsNoQuota) {
  Write("cpu.max", "max 100000\n");
  EXPECT_EQ(Cpus(), unlimited_cpus_);
}

TEST_F(CpuTopologyTest, V2GarbageIsNoQuota) {
  for (const char* text :
       {"", "\n", "garbage", "garbage 100000", "-5 100000", "0 100000",
        "100000 0", "100000 -1", "100000 x", "nan 100000"}) {
    Write("cpu.max", text);
    EXPECT_EQ(Cpus(), unlimited_cpus_) << '"' << text << '"';
  }
}

TEST_F(CpuTopologyTest, V1QuotaWins) {
  WriteV1Quota("50000\n", "100000\n");
  EXPECT_EQ(Cpus(), 1);
}

TEST_F(CpuTopologyTest, V1MinusOneIsNoQuota) {
  WriteV1Quota("-1\n", "100000\n");
  EXPECT_EQ(Cpus(), unlimited_cpus_);
}

TEST_F(CpuTopologyTest, V1WithoutPeriodIsNoQuota) {
  Write("cpu/cpu.cfs_quota_us", "50000\n");
  EXPECT_EQ(Cpus(), unlimited_cpus_);
  WriteV1Quota("50000\n", "0\n");
  EXPECT_EQ(Cpus(), unlimited_cpus_);
  WriteV1Quota("x\n", "y\n");
  EXPECT_EQ(Cpus(), unlimited_cpus_);
}

TEST_F(CpuTopologyTest, V2MemoryLimitWins) {
  Write("memory.max", "1048576\n");
  EXPECT_EQ(MemoryBytes(), 1048576);
}

TEST_F(CpuTopologyTest, V1MemoryLimitWins) {
  Write("memory/memory.limit_in_bytes", "2097152\n");
  EXPECT_EQ(MemoryBytes(), 2097152);
}

TEST_F(CpuTopologyTest, SmallerOfBothMemoryLimitsWins) {
  Write("memory.max", "4194304\n");
  Write("memory/memory.limit_in_bytes", "2097152\n");
  EXPECT_EQ(MemoryBytes(), 2097152);
}

TEST_F(CpuTopologyTest, MemoryWithoutALimitIsTheMachines) {
  for (const char* text : {"max\n", "", "garbage", "9223372036854771712\n",
                           "99999999999999999999999\n"}) {
    Write("memory.max", text);
    EXPECT_EQ(MemoryBytes(), unlimited_memory_) << text;
  }
}

}  // namespace
}  // namespace attn
