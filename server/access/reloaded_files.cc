#include "server/access/reloaded_files.h"

#include <cerrno>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace attn {
namespace {

constexpr std::streamsize kMaxFileBytes = std::streamsize{1} << 20;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.fail() && !file.eof())) {
    return absl::InvalidArgumentError(absl::StrCat(path, " cannot be read"));
  }
  if (file.gcount() > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " must be at most ", kMaxFileBytes, " bytes"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

absl::StatusOr<std::vector<std::string>> ReadOnce(
    const std::vector<std::string>& paths) {
  std::vector<std::string> texts;
  for (const std::string& path : paths) {
    ATTN_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadFilesAtOnce(
    const std::vector<std::string>& paths) {
  // Between the reads of two files somebody may have swapped both.
  constexpr int kMaxReads = 5;
  ATTN_ASSIGN_OR_RETURN(std::vector<std::string> before, ReadOnce(paths));
  for (int reads = 1; reads < kMaxReads; ++reads) {
    ATTN_ASSIGN_OR_RETURN(std::vector<std::string> now, ReadOnce(paths));
    if (now == before) return now;
    before = std::move(now);
  }
  return absl::UnavailableError(
      absl::StrCat(paths.front(), " changes while it is read"));
}

}  // namespace attn
