// What the kernel says about this process, for the process_* metrics that every
// Prometheus dashboard expects, and for /statusz.
#pragma once

#include <cstdint>
#include <string>

namespace attn {

// What could not be read stays 0.
struct ProcessFacts {
  double cpu_seconds = 0;         // User and system.
  double start_time_seconds = 0;  // Unix time.
  int64_t resident_bytes = 0;
  int64_t virtual_bytes = 0;
  int64_t num_threads = 0;
  int64_t num_open_fds = 0;
  int64_t max_fds = 0;
};

// Reads self/stat, self/fd, self/limits and stat under `proc_root`. Never
// fails: a metrics page must not depend on the mounts of a container.
ProcessFacts ReadProcessFacts(const std::string& proc_root = "/proc");

// When the kernel gives out huge pages: always, madvise or never; "" where that
// cannot be read.
std::string ReadHugePages(const std::string& sys_root = "/sys");

}  // namespace attn
