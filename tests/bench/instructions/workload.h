// Fixed work whose instructions are counted: the same requests with the same
// bytes in every run. Sizes are small, because valgrind takes 50 times as long.
#pragma once

#include <functional>

namespace attn::bench {

// One pass, always over the same work. The first one makes and grows what the
// later ones find there, and is not counted.
using Workload = std::function<void()>;

// Decode steps on sessions, from the request to its end, by an engine with one
// worker.
Workload DecodeWorkload();

// Long queries through the prefill kernel, on the calling thread.
Workload PrefillWorkload();

// Messages to requests, and their tensors into place.
Workload CodecWorkload();

}  // namespace attn::bench
