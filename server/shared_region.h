// Memory that the server shares with a client on its machine: a file without a
// name (memfd), which both map. The client puts tensors there, the server
// outputs; it trusts nothing but the size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "server/descriptor.h"

namespace attn {

// Thread-safe; the bytes may change at any time.
class SharedRegion {
 public:
  // `size` bytes of zeroes, all of them backed from the start. Sealed: nobody
  // can shrink it, so that no access faults. RESOURCE_EXHAUSTED if the
  // system has no such memory. REQUIRES: size > 0.
  static absl::StatusOr<std::unique_ptr<SharedRegion>> Create(int64_t size);

  // Gives the memory back, even if the client keeps its descriptor: what that
  // puts there afterwards is the client's own memory.
  ~SharedRegion();
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  std::byte* data() const { return data_; }
  int64_t size() const { return size_; }
  // To hand out.
  int fd() const { return file_.get(); }

 private:
  SharedRegion(Descriptor file, std::byte* data, int64_t size);

  const Descriptor file_;
  std::byte* const data_;
  const int64_t size_;
};

}  // namespace attn
