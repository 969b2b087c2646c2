// What this process may really use of the machine: CPUs after cgroup quota and
// cpuset, memory after the cgroup limit. A container on a 64-core host with a
// quota of 2 must not start 64 workers.
#pragma once

#include <cstdint>
#include <string>

namespace attn {

// min(CPUs in the affinity mask, ceil(cgroup quota)), at least 1. Reads cgroup
// v2 (cpu.max) and v1 (cpu.cfs_quota_us) under `cgroup_root`.
int UsableCpus(const std::string& cgroup_root = "/sys/fs/cgroup");

// min(physical memory, cgroup limit) in bytes.
int64_t UsableMemoryBytes(const std::string& cgroup_root = "/sys/fs/cgroup");

}  // namespace attn
