#include "core/checkpoint/small_file.h"

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace attn {

absl::StatusOr<std::string> ReadSmallFile(const std::string& path,
                                          int64_t max_bytes) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) return absl::ErrnoToStatus(errno, path);
  const int64_t size = file.seekg(0, std::ios::end).tellg();
  if (size > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": must have at most ", max_bytes, " bytes; got ", size));
  }
  std::string text(static_cast<size_t>(std::max<int64_t>(size, 0)), '\0');
  file.seekg(0).read(text.data(), size);
  if (size < 0 || file.gcount() != size) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  }
  return text;
}

}  // namespace attn
