#include "core/base/cpu_affinity.h"

#include <sched.h>

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

TEST(CpuAffinityTest, IndexCountsRound) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  const int count = CPU_COUNT(&allowed);
  int first = -1, again = -1;
  std::thread([&] { first = PinToCpu(1); }).join();
  std::thread([&] { again = PinToCpu(1 + count); }).join();
  EXPECT_EQ(first, again);
}

}  // namespace
}  // namespace attn
