#include "core/base/thread_priority.h"

#if defined(__linux__)
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#endif

namespace attn {

void LowerThreadPriority([[maybe_unused]] int steps) {
#if defined(__linux__)
  // Linux keeps a nice value for each thread, under its id.
  constexpr int kLowest = 19;
  const auto self = static_cast<id_t>(gettid());
  const int now = getpriority(PRIO_PROCESS, self);
  static_cast<void>(
      setpriority(PRIO_PROCESS, self, std::min(kLowest, now + steps)));
#endif
}

}  // namespace attn
