// Random data for the parts: never zeros, aligned as the engine's memory is.
#pragma once

#include <cstdint>

#include "core/memory/aligned_buffer.h"
#include "core/tensor/dtype.h"

namespace attn::bench {

// `n` standard normal elements.
AlignedBuffer RandomBuffer(DataType dtype, int64_t n);

// `n` codes of int8, each as likely as the other.
AlignedBuffer RandomCodes(int64_t n);

inline float* FloatsOf(const AlignedBuffer& buffer) {
  return reinterpret_cast<float*>(buffer.data());
}

}  // namespace attn::bench
