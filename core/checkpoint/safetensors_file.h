// A safetensors file, mapped into memory: its tensors' bytes without a copy.
// For the time of loading weights: they are packed into memory of their own,
// and the file is let go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/checkpoint/safetensors_header.h"

namespace attn {

// Thread-compatible. Moves leave nothing behind.
class SafetensorsFile {
 public:
  // Errors, all with the path: NOT_FOUND, PERMISSION_DENIED and the like of
  // opening it; INVALID_ARGUMENT for what is no regular file, and the header's
  // (safetensors_header.h). A file that somebody shortens while it is mapped
  // ends the process, as with every program that maps files.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&& other) noexcept;

  // In the order of their bytes.
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  // Null if there is none of that name.
  const StoredTensor* Find(std::string_view name) const;
  // Valid as long as the file; aligned to nothing.
  absl::Span<const std::byte> BytesOf(const StoredTensor& tensor) const;

  const std::string& path() const { return path_; }

 private:
  SafetensorsFile(std::string path, absl::Span<const std::byte> mapping)
      : path_(std::move(path)), mapping_(mapping) {}

  absl::Status ReadHeader();

  std::string path_;
  absl::Span<const std::byte> mapping_;  // Owned; empty when moved from.
  int64_t data_begin_ = 0;
  std::vector<StoredTensor> tensors_;
};

}  // namespace attn
