#include "core/base/cpu_affinity.h"

#include <sched.h>

#include <set>
#include <thread>

#include "gtest/gtest.h"

namespace attn {
namespace {

TEST(CpuAffinityTest, PinnedThreadRunsWhereItWasPut) {
  std::thread([] {
    const int cpu = PinToCpu(0);
    ASSERT_GE(cpu, 0);
    EXPECT_EQ(sched_getcpu(), cpu);
    EXPECT_EQ(PinToCpu(5), cpu) << "one CPU is left to choose from";
  }).join();
}

// Where a new thread is put.
int CpuOf(int index) {
  int cpu = -1;
  std::thread([&] { cpu = PinToCpu(index); }).join();
  return cpu;
}

TEST(CpuAffinityTest, EachCpuHasItsIndexAndTheyCountRound) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  const int count = CPU_COUNT(&allowed);
  std::set<int> cpus;
  for (int i = 0; i < count; ++i) {
    cpus.insert(CpuOf(i));
    EXPECT_EQ(CpuOf(i + count), CpuOf(i));
  }
  EXPECT_EQ(std::ssize(cpus), count);
  EXPECT_FALSE(cpus.contains(-1));
}

}  // namespace
}  // namespace attn
