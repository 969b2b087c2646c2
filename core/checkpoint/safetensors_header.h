// What a safetensors file says of itself in its first bytes: which tensors it
// holds, of what type and shape, and where. Files come from outside, so that
// everything is checked before anything is used: a header that is read tells of
// tensors that fill the rest of the file without a hole or an overlap.
//
//   8 bytes N, little-endian | N bytes JSON | the tensors' bytes
//
// The format is Hugging Face's (github.com/huggingface/safetensors, "Format").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/tensor/shape.h"

namespace attn {

inline constexpr int64_t kSafetensorsSizeBytes = 8;
// As the format has it; the JSON of a thousand tensors takes about 100 kB.
inline constexpr int64_t kMaxSafetensorsHeaderBytes = 100'000'000;

// One tensor of a file. Its bytes begin at `begin` behind the header.
struct StoredTensor {
  std::string name;
  std::string dtype;  // "BF16", as the format spells it.
  Dims shape;
  int64_t begin = 0;
  int64_t end = 0;
};

// N of the first 8 bytes, for a file of so many bytes. INVALID_ARGUMENT for one
// that the file has no room for, or beyond the format's bound.
// REQUIRES: `bytes` has 8.
absl::StatusOr<int64_t> ParseSafetensorsSize(std::string_view bytes,
                                             int64_t file_bytes);

// The tensors in the order of their bytes, of which there are `data_bytes`.
// INVALID_ARGUMENT that names the tensor and the rule: JSON that is none, has a
// name twice or values of another kind; a dtype that is not known; a shape that
// does not fit its bytes; bytes that overlap, leave a hole or end elsewhere.
absl::StatusOr<std::vector<StoredTensor>> ParseSafetensorsHeader(
    std::string_view json, int64_t data_bytes);

}  // namespace attn
