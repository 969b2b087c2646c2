#include "core/base/cpu_affinity.h"

#if defined(__linux__)
#include <sched.h>

#include <vector>
#endif

namespace attn {

int PinToCpu([[maybe_unused]] int index) {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return -1;
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  }
  const int cpu = cpus[static_cast<size_t>(index) % cpus.size()];
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  return sched_setaffinity(0, sizeof(one), &one) == 0 ? cpu : -1;
#else
  return -1;
#endif
}

}  // namespace attn
