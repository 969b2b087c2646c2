#include "client/cpp/attnctl/partial_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace attn::attnctl {

absl::StatusOr<PartialFile> PartialFile::Create(const std::string& path) {
  struct stat found {};
  const bool is_special =
      stat(path.c_str(), &found) == 0 && !S_ISREG(found.st_mode);
  std::string partial = is_special ? "" : path + ".partial";
  const std::string& target = is_special ? path : partial;
  const int descriptor =
      open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot write ", target, ": ", std::strerror(errno)));
  }
  return PartialFile(path, std::move(partial), descriptor);
}

PartialFile::PartialFile(std::string path, std::string partial, int descriptor)
    : path_(std::move(path)),
      partial_(std::move(partial)),
      descriptor_(descriptor) {}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : path_(std::move(other.path_)),
      partial_(std::exchange(other.partial_, "")),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

PartialFile::~PartialFile() {
  if (descriptor_ >= 0) {
    close(descriptor_);
  }
  if (!partial_.empty()) {
    unlink(partial_.c_str());
  }
}

absl::Status PartialFile::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      return Failed("write");
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status PartialFile::Commit() {
  // Pipes and devices have nothing to sync.
  if (!partial_.empty() && fsync(descriptor_) != 0) {
    return Failed("write");
  }
  if (close(std::exchange(descriptor_, -1)) != 0) {
    return Failed("write");
  }
  if (partial_.empty()) {
    return absl::OkStatus();
  }
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) {
    return Failed("move");
  }
  partial_.clear();
  return absl::OkStatus();
}

absl::Status PartialFile::Failed(const char* verb) const {
  return absl::DataLossError(absl::StrCat("cannot ", verb, " ",
                                          partial_.empty() ? path_ : partial_,
                                          ": ", std::strerror(errno)));
}

absl::Status WriteText(const std::string& path, std::string_view text) {
  if (path.empty()) {
    return absl::OkStatus();
  }
  absl::StatusOr<PartialFile> file = PartialFile::Create(path);
  if (!file.ok()) {
    return file.status();
  }
  absl::Status status = file->Write(text);
  if (status.ok()) {
    status = file->Commit();
  }
  return status;
}

}  // namespace attn::attnctl
