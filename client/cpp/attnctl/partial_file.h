// A file that is there whole or not at all: written beside its place as
// FILE.partial and moved there when all of it has reached the disk. So neither
// a full disk nor a broken transfer leaves something that looks like a result.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attn::attnctl {

// Thread-compatible.
class PartialFile {
 public:
  // Something at `path` that is no regular file (a pipe, /dev/null) is written
  // to as it is. Errors: INVALID_ARGUMENT, with what the system says.
  static absl::StatusOr<PartialFile> Create(const std::string& path);

  // Removes what was not committed.
  ~PartialFile();
  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;

  // Errors, of both: DATA_LOSS, with what the system says.
  absl::Status Write(std::string_view bytes);
  // Puts the file into its place; once, last.
  absl::Status Commit();

 private:
  PartialFile(std::string path, std::string partial, int descriptor);
  absl::Status Failed(const char* verb) const;

  std::string path_;
  std::string partial_;  // Empty: written in place.
  int descriptor_;       // -1 when closed.
};

// Writes `text` to `path`, whole or not at all; nowhere if `path` is empty.
// Errors: as PartialFile.
absl::Status WriteText(const std::string& path, std::string_view text);

}  // namespace attn::attnctl
