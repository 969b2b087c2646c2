// What files say, read again while the server runs. New contents count only if
// they make sense: until then those from before stay. Files are looked at by
// name each time, so that a swapped symbolic link, as Kubernetes has for
// secrets, is seen as a rewritten file is.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/base/status_macros.h"

namespace attn {

// The texts of these files, all as they were at one moment: of a set that is
// being swapped, the old one or the new one. NOT_FOUND or PERMISSION_DENIED
// with the path for one that cannot be read, INVALID_ARGUMENT for one beyond 1
// MiB, UNAVAILABLE if they change all the time.
absl::StatusOr<std::vector<std::string>> ReadFilesAtOnce(
    const std::vector<std::string>& paths);

enum class ReloadOutcome { kUnchanged, kReloaded };

// Thread-safe.
template <typename Contents>
class ReloadedFiles {
 public:
  using Texts = std::vector<std::string>;  // In the order of the paths.
  using Parse = std::function<absl::StatusOr<Contents>(const Texts&)>;

  // Errors: those of reading and of `parse`.
  static absl::StatusOr<std::unique_ptr<ReloadedFiles>> Open(
      std::vector<std::string> paths, Parse parse) {
    std::unique_ptr<ReloadedFiles> files(
        new ReloadedFiles(std::move(paths), std::move(parse)));
    ATTN_RETURN_IF_ERROR(files->Reload().status());
    return files;
  }

  // Never null.
  std::shared_ptr<const Contents> contents() const {
    const absl::MutexLock lock(&mutex_);
    return contents_;
  }

  // Reads the files again. An error is told once for each change that makes no
  // sense; then the contents stay as they are. Not to be called from two
  // threads at once.
  absl::StatusOr<ReloadOutcome> Reload() {
    absl::StatusOr<Texts> texts = ReadFilesAtOnce(paths_);
    if (texts.status() == read_status_ && (!texts.ok() || *texts == texts_)) {
      return ReloadOutcome::kUnchanged;
    }
    read_status_ = texts.status();
    ATTN_RETURN_IF_ERROR(read_status_);
    texts_ = *std::move(texts);
    ATTN_ASSIGN_OR_RETURN(Contents contents, parse_(texts_));
    auto shared = std::make_shared<const Contents>(std::move(contents));
    const absl::MutexLock lock(&mutex_);
    contents_ = std::move(shared);
    return ReloadOutcome::kReloaded;
  }

 private:
  ReloadedFiles(std::vector<std::string> paths, Parse parse)
      : paths_(std::move(paths)), parse_(std::move(parse)) {}

  const std::vector<std::string> paths_;
  const Parse parse_;
  // What the last Reload read, its own.
  absl::Status read_status_;
  Texts texts_;

  mutable absl::Mutex mutex_;
  std::shared_ptr<const Contents> contents_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn
