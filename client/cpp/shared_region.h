// Memory that the server shares with this client, on one machine: large tensors
// are put there instead of being sent. The server must run with
// --shared-memory-socket (proto/attn/v1/shared_memory.proto).
//
//   auto region = SharedRegion::Open("/run/attnserve/memory", 64 << 20);
//   std::memcpy((*region)->data(), keys, key_bytes);
//   request.key = *(*region)->Place(DType::kBf16, {1, 8, 4096, 128}, 0);
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cpp/descriptor.h"
#include "client/cpp/tensor.h"

namespace attn::client {

// Thread-compatible. Who writes where, and that nobody does while a call uses
// it, is up to the caller.
class SharedRegion : public std::enable_shared_from_this<SharedRegion> {
 public:
  // A region of `bytes` zeroes from the server that listens at `socket_path`.
  // Errors: INVALID_ARGUMENT, UNAVAILABLE (nobody listens or answers within
  // `timeout`), RESOURCE_EXHAUSTED (the server's --shared-memory is spent),
  // UNAUTHENTICATED or PERMISSION_DENIED (it wants a token, another than this).
  static absl::StatusOr<std::shared_ptr<SharedRegion>> Open(
      const std::string& socket_path, int64_t bytes,
      absl::Duration timeout = absl::Seconds(10),
      const std::string& token = "");

  // Gives it back. Tensors in it keep it from that.
  ~SharedRegion();
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  std::byte* data() { return data_; }
  int64_t size() const { return size_; }

  // The tensor whose elements lie at data() + offset. Leave them as they are
  // until the calls that use it have returned. Errors: INVALID_ARGUMENT where
  // it does not lie within the region.
  absl::StatusOr<Tensor> Place(DType dtype, Shape shape, int64_t offset) const;

 private:
  SharedRegion(Descriptor connection, std::byte* data, int64_t size,
               std::string id);

  const Descriptor connection_;  // Its end is the region's.
  std::byte* const data_;
  const int64_t size_;
  const std::string id_;
};

}  // namespace attn::client
