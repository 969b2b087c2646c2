#include "core/projection/weight_rows.h"

#include <algorithm>
#include <vector>

#include "core/base/check.h"
#include "core/tensor/conversions.h"

namespace attn {
namespace {

void ReadF32(DataType dtype, const std::byte* from, int64_t n, float* to) {
  if (dtype != DataType::kF64) return ConvertToF32(dtype, from, n, 1.0f, to);
  std::vector<double> wide(static_cast<size_t>(n));
  ConvertToF64(dtype, from, n, wide.data());
  ConvertFromF64(wide.data(), n, DataType::kF32,
                 reinterpret_cast<std::byte*>(to));
}

// Inputs that lie behind each other, channel by channel.
void ReadByChannel(const LinearSource& source, int64_t first, int64_t count,
                   float* to) {
  const int64_t element = ElementBytes(source.dtype);
  for (int64_t c = 0; c < count; ++c) {
    ReadF32(source.dtype,
            source.weights + (first + c) * source.out_stride * element,
            source.in_dim, to + c * source.in_dim);
  }
}

// Channels that lie behind each other, input by input.
void ReadByInput(const LinearSource& source, int64_t first, int64_t count,
                 float* to) {
  const int64_t element = ElementBytes(source.dtype);
  std::vector<float> channels(static_cast<size_t>(count));
  for (int64_t k = 0; k < source.in_dim; ++k) {
    ReadF32(source.dtype,
            source.weights + (k * source.in_stride + first) * element, count,
            channels.data());
    for (int64_t c = 0; c < count; ++c) {
      to[c * source.in_dim + k] = channels[static_cast<size_t>(c)];
    }
  }
}

}  // namespace

void ReadWeightRows(const LinearSource& source, int64_t first, int64_t count,
                    float* to) {
  if (source.in_stride == 1) return ReadByChannel(source, first, count, to);
  ATTN_CHECK(source.out_stride == 1);
  ReadByInput(source, first, count, to);
}

void ReadBias(const LinearSource& source, float* to) {
  if (source.bias == nullptr) {
    std::fill(to, to + source.out_dim, 0.0f);
  } else {
    ReadF32(source.bias_dtype, source.bias, source.out_dim, to);
  }
}

}  // namespace attn
