// attn_instruction_workloads NAME: one pass that warms up and one that
// callgrind counts; guard.py runs it. Prints what else moves counts:
// instruction set, compiler and C library.
#include <gnu/libc-version.h>

#include <iostream>
#include <map>
#include <string>

#include "core/base/isa.h"
#include "tests/bench/instructions/workload.h"
#include "valgrind/callgrind.h"

namespace attn::bench {
namespace {

int Run(const std::string& name) {
  const std::map<std::string, Workload (*)()> makers = {
      {"codec", CodecWorkload},
      {"decode", DecodeWorkload},
      {"prefill", PrefillWorkload}};
  const auto maker = makers.find(name);
  if (maker == makers.end()) {
    std::cerr << "attn_instruction_workloads codec|decode|prefill\n";
    return 2;
  }
  // A valgrind that knows AVX-512 would count other instructions.
  CapSimdIsa(Isa::kAvx2);
  std::cout << ChosenSimdIsa() << ", g++ " << __VERSION__ << ", glibc "
            << gnu_get_libc_version() << "\n";
  const Workload pass = maker->second();
  pass();
  // Of all threads; --toggle-collect would be of one.
  CALLGRIND_START_INSTRUMENTATION;
  pass();
  CALLGRIND_STOP_INSTRUMENTATION;
  return 0;
}

}  // namespace
}  // namespace attn::bench

int main(int argc, char** argv) {
  return attn::bench::Run(argc == 2 ? argv[1] : "");
}
