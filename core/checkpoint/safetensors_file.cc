#include "core/checkpoint/safetensors_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

absl::Status SystemError(const std::string& path) {
  return absl::ErrnoToStatus(errno, path);
}

absl::Status Bad(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

// The whole of an open regular file.
absl::StatusOr<absl::Span<const std::byte>> Map(int descriptor,
                                                const std::string& path) {
  struct stat facts {};
  if (fstat(descriptor, &facts) != 0) return SystemError(path);
  if (!S_ISREG(facts.st_mode)) return Bad(path, "must be a regular file");
  if (facts.st_size < kSafetensorsSizeBytes) {
    return Bad(path, absl::StrCat("must have at least ", kSafetensorsSizeBytes,
                                  " bytes; got ", facts.st_size));
  }
  const auto size = static_cast<size_t>(facts.st_size);
  void* const bytes =
      mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (bytes == MAP_FAILED) return SystemError(path);
  return absl::MakeConstSpan(static_cast<const std::byte*>(bytes), size);
}

std::string_view TextOf(absl::Span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  // A pipe would block until somebody writes to it.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return SystemError(path);
  const absl::Cleanup close_it = [descriptor] { close(descriptor); };
  ATTN_ASSIGN_OR_RETURN(const auto mapping, Map(descriptor, path));
  SafetensorsFile file(path, mapping);
  ATTN_RETURN_IF_ERROR(file.ReadHeader());
  return file;
}

SafetensorsFile::~SafetensorsFile() {
  if (!mapping_.empty()) {
    munmap(const_cast<std::byte*>(mapping_.data()), mapping_.size());
  }
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)),
      mapping_(std::exchange(other.mapping_, {})),
      data_begin_(other.data_begin_),
      tensors_(std::move(other.tensors_)) {}

SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(mapping_, other.mapping_);
  std::swap(data_begin_, other.data_begin_);
  std::swap(tensors_, other.tensors_);
  return *this;
}

absl::Status SafetensorsFile::ReadHeader() {
  const std::string_view text = TextOf(mapping_);
  const auto file_bytes = static_cast<int64_t>(text.size());
  const auto size = ParseSafetensorsSize(text, file_bytes);
  if (!size.ok()) return Bad(path_, size.status().message());
  data_begin_ = kSafetensorsSizeBytes + *size;
  auto tensors = ParseSafetensorsHeader(
      text.substr(static_cast<size_t>(kSafetensorsSizeBytes),
                  static_cast<size_t>(*size)),
      file_bytes - data_begin_);
  if (!tensors.ok()) return Bad(path_, tensors.status().message());
  tensors_ = *std::move(tensors);
  return absl::OkStatus();
}

const StoredTensor* SafetensorsFile::Find(std::string_view name) const {
  const auto found =
      std::find_if(tensors_.begin(), tensors_.end(),
                   [name](const StoredTensor& t) { return t.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

absl::Span<const std::byte> SafetensorsFile::BytesOf(
    const StoredTensor& tensor) const {
  return mapping_.subspan(static_cast<size_t>(data_begin_ + tensor.begin),
                          static_cast<size_t>(tensor.end - tensor.begin));
}

}  // namespace attn
