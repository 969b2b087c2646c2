#include "core/base/thread_priority.h"

#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "gtest/gtest.h"

namespace attn {
namespace {

int Nice() { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); }

TEST(ThreadPriorityTest, LowersTheCallingThreadAlone) {
  const int before = Nice();
  int inside = 0;
  std::thread([&inside] {
    LowerThreadPriority(3);
    inside = Nice();
  }).join();
  EXPECT_EQ(inside, std::min(19, before + 3));
  EXPECT_EQ(Nice(), before);
}

TEST(ThreadPriorityTest, StopsAtTheLowest) {
  int inside = 0;
  std::thread([&inside] {
    LowerThreadPriority(19);
    LowerThreadPriority(19);
    inside = Nice();
  }).join();
  EXPECT_EQ(inside, 19);
}

}  // namespace
}  // namespace attn
