#include "server/shared_region.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"

namespace attn {
namespace {

absl::Status NoMemory(int64_t size) {
  return absl::ResourceExhaustedError(
      absl::StrCat("no ", size, " bytes to share: ",
                   absl::ErrnoToStatus(errno, "the system says").message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SharedRegion>> SharedRegion::Create(
    int64_t size) {
  ATTN_CHECK(size > 0);
  Descriptor file(
      memfd_create("attnserve-region", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const auto length = static_cast<size_t>(size);
  if (!file.is_open() || fallocate(file.get(), 0, 0, size) != 0 ||
      fcntl(file.get(), F_ADD_SEALS,
            F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return NoMemory(size);
  }
  void* data = mmap(nullptr, length, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_POPULATE, file.get(), 0);
  if (data == MAP_FAILED) return NoMemory(size);
  return std::unique_ptr<SharedRegion>(
      new SharedRegion(std::move(file), static_cast<std::byte*>(data), size));
}

SharedRegion::SharedRegion(Descriptor file, std::byte* data, int64_t size)
    : file_(std::move(file)), data_(data), size_(size) {}

SharedRegion::~SharedRegion() {
  // Neither can fail on a region that was made.
  munmap(data_, static_cast<size_t>(size_));
  fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size_);
}

}  // namespace attn
