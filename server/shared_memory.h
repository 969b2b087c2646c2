// The regions of memory that clients on this machine share with the server, by
// id. MemorySocket opens and closes them; the wire codec looks up what requests
// name. No client names memory by itself: an id is random, and known only to
// whom the server gave it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/shared_region.h"

namespace attn {

// Thread-safe.
class SharedMemory {
 public:
  struct Options {
    // What all regions together may hold.
    int64_t max_bytes = 0;
    // 64 random bits a call, for ids.
    std::function<uint64_t()> random;
  };
  struct Grant {
    std::string region_id;
    std::shared_ptr<const SharedRegion> region;
  };
  // A stretch as a request names it.
  struct Range {
    std::string_view region_id;
    uint64_t offset = 0;
    uint64_t size = 0;
  };
  struct Bytes {
    std::byte* data = nullptr;
    int64_t size = 0;
    // Keeps them mapped.
    std::shared_ptr<const SharedRegion> region;
  };

  // Must outlive the regions.
  explicit SharedMemory(Options options) : options_(std::move(options)) {}

  // A new region. INVALID_ARGUMENT for size 0, RESOURCE_EXHAUSTED beyond
  // max_bytes or where the system has no memory.
  absl::StatusOr<Grant> Open(uint64_t size);
  // Requests do not find it any more. Its memory goes when its last user does.
  void Close(const std::string& region_id);

  // INVALID_ARGUMENT / INVALID_TENSOR for `field` when there is no such region
  // or the stretch is not within it.
  absl::StatusOr<Bytes> Find(std::string_view field, const Range& range) const;

  // Of all regions, closed ones in use included.
  int64_t used_bytes() const;

 private:
  class Holding;

  absl::Status Reserve(uint64_t size);
  void Release(int64_t size);

  const Options options_;

  mutable absl::Mutex mutex_;
  int64_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::shared_ptr<const SharedRegion>> regions_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn
