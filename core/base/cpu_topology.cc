#include "core/base/cpu_topology.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <thread>

namespace attn {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

std::optional<int64_t> ReadNumber(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  // "max" and values beyond int64 (cgroup v1's "no limit") fail to parse.
  if (!(file >> number)) return std::nullopt;
  return number;
}

// CPUs' worth of time that the cgroup may use; infinity without a quota.
double QuotaCpus(const std::string& root) {
  std::ifstream v2(root + "/cpu.max");
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period) {
    // No number ("max") reads as 0, which means no quota.
    const double cpus = std::strtod(quota.c_str(), nullptr) / period;
    return cpus > 0 ? cpus : INFINITY;
  }
  const auto v1_quota = ReadNumber(root + "/cpu/cpu.cfs_quota_us");
  const auto v1_period = ReadNumber(root + "/cpu/cpu.cfs_period_us");
  if (v1_quota.value_or(-1) <= 0 || v1_period.value_or(0) <= 0) {
    return INFINITY;
  }
  return static_cast<double>(*v1_quota) / static_cast<double>(*v1_period);
}

int AffinityCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // Fails on machines with more CPUs than cpu_set_t holds.
  if (sched_getaffinity(0, sizeof(set), &set) != 0) {
    return static_cast<int>(std::thread::hardware_concurrency());
  }
  return CPU_COUNT(&set);
}

int64_t PhysicalMemoryBytes() {
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
}

}  // namespace

int UsableCpus(const std::string& cgroup_root) {
  const double cpus =
      std::min<double>(AffinityCpus(), std::ceil(QuotaCpus(cgroup_root)));
  return std::max(1, static_cast<int>(cpus));
}

int64_t UsableMemoryBytes(const std::string& cgroup_root) {
  const int64_t v2 =
      ReadNumber(cgroup_root + "/memory.max").value_or(kUnlimited);
  const int64_t v1 = ReadNumber(cgroup_root + "/memory/memory.limit_in_bytes")
                         .value_or(kUnlimited);
  return std::min({PhysicalMemoryBytes(), v1, v2});
}

}  // namespace attn
