// NumPy's .npy files (format versions 1, 2 and 3) as tensors. Strict: what is
// not exactly a little-endian, C-ordered array of a known type is refused, and
// header and size are checked before anything is allocated for the data.
// bfloat16 is '<V2', as ml_dtypes writes it. Pure functions: thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cpp/tensor.h"

namespace attn::attnctl {

// What stands before the data.
struct NpyHeader {
  client::DType dtype = client::DType::kUnspecified;
  client::Shape shape;
  uint64_t data_offset = 0;  // Bytes from the start of the file.
  uint64_t data_bytes = 0;   // What shape and dtype ask for.
};

// Headers longer than this are refused (NumPy itself stops at 10000).
constexpr uint64_t kMaxNpyHeaderBytes = 65536;

// Reads the header at the start of `prefix`, which holds the whole file or at
// least its first kMaxNpyHeaderBytes + 12 bytes. Errors: INVALID_ARGUMENT.
absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view prefix);

// A whole file in memory. Errors: INVALID_ARGUMENT, also for data of another
// length than the header says.
absl::StatusOr<client::Tensor> ParseNpy(std::string_view file);

// The bytes of a version 1 file (2 where the header is long). Errors:
// INVALID_ARGUMENT for a tensor that fails Tensor::Check.
absl::StatusOr<std::string> SerializeNpy(const client::Tensor& tensor);

// Files. Errors: as above and NOT_FOUND, with the path in front.
absl::StatusOr<client::Tensor> ReadNpy(const std::string& path);
absl::Status WriteNpy(const std::string& path, const client::Tensor& tensor);

}  // namespace attn::attnctl
