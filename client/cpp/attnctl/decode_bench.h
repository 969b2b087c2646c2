// `attnctl bench --sessions`: flags -> sessions, decoding -> figures.
#pragma once

#include "client/cpp/attnctl/bench_flags.h"
#include "client/cpp/attnctl/global_options.h"

namespace attn::attnctl {

// The exit code. REQUIRES: CheckBenchFlags was OK.
int RunDecodeBench(const BenchFlags& flags, const GlobalOptions& globals);

}  // namespace attn::attnctl
