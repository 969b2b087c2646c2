// A tensor as the client sends and receives it: element type, shape and bytes,
// little-endian, row-major, without gaps. It is a handle: copying one copies no
// elements. A request keeps the handles, gRPC sends the bytes from where they
// lie; a reply's tensors own the bytes that were received.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace attn::client {

// Element type; the numbers are those of attn.v1.DataType.
enum class DType : int {
  kUnspecified = 0,
  kF32 = 1,
  kF16 = 2,
  kBf16 = 3,
  kF64 = 4,
  kBool = 5,
  kI32 = 6,
  kI64 = 7,
};

// Bytes of one element; 0 for kUnspecified and numbers that are no DType.
size_t ElementBytes(DType dtype);

// "f32", "f16", "bf16", "f64", "bool", "i32", "i64"; "unspecified" otherwise.
std::string_view DTypeName(DType dtype);

using Shape = std::vector<int64_t>;

// "[1, 8, 16, 64]"
std::string ShapeText(const Shape& shape);

// Product of the lengths. Errors: INVALID_ARGUMENT for a negative length or a
// product beyond 2^63 - 1.
absl::StatusOr<int64_t> NumElements(const Shape& shape);

// Where a tensor lies in memory that is shared with the server.
struct SharedPlace {
  std::string region_id = {};
  uint64_t offset = 0;
};

// Thread-compatible: const members may run in parallel. Elements are immutable
// once in a tensor.
class Tensor {
 public:
  // Absent: not sent at all.
  Tensor() = default;

  // Takes `bytes`. Sent without a copy.
  static Tensor Own(DType dtype, Shape shape, std::string bytes);

  // Views `bytes`, which `owner` keeps alive and unchanged. Sent without a
  // copy. REQUIRES: owner != nullptr.
  static Tensor Share(DType dtype, Shape shape,
                      std::shared_ptr<const void> owner,
                      std::string_view bytes);

  // Views `bytes`, which the caller keeps alive and unchanged until the call
  // that sends it has returned (AttendAsync: returned, not completed). Sending
  // costs one copy, because gRPC may hold slices longer than a cancelled call.
  static Tensor Borrow(DType dtype, Shape shape, std::string_view bytes);

  // Views `bytes`, which lie at `place` of a region that `owner` keeps open
  // (SharedRegion::Place makes these). Not sent: the server reads them there.
  static Tensor InSharedMemory(DType dtype, Shape shape,
                               std::shared_ptr<const void> owner,
                               std::string_view bytes, SharedPlace place);

  // Converts `values` to `dtype` (kF32, kF16, kBf16 or kF64), rounding to
  // nearest even. Errors: INVALID_ARGUMENT for a shape that does not hold
  // values.size() elements or a dtype that is not a float.
  static absl::StatusOr<Tensor> FromFloats(absl::Span<const float> values,
                                           Shape shape,
                                           DType dtype = DType::kF32);
  static absl::StatusOr<Tensor> FromDoubles(absl::Span<const double> values,
                                            Shape shape,
                                            DType dtype = DType::kF64);

  // true is 1, false is 0. Errors: as FromFloats.
  static absl::StatusOr<Tensor> FromBools(const std::vector<bool>& values,
                                          Shape shape);

  // Every element as a float; kF64 is rounded, kBool gives 0 and 1. Errors: as
  // Check, and INVALID_ARGUMENT for kUnspecified.
  absl::StatusOr<std::vector<float>> ToFloats() const;

  // The same without rounding; kI64 beyond 2^53 is rounded.
  absl::StatusOr<std::vector<double>> ToDoubles() const;

  // Every element of a kI32, kI64 or kBool (0 and 1), e.g. TopWeights::indices.
  // Errors: as Check, and INVALID_ARGUMENT for another dtype.
  absl::StatusOr<std::vector<int64_t>> ToInts() const;

  // The same values in another float type, rounded once. Errors: as ToFloats
  // and FromFloats.
  absl::StatusOr<Tensor> ConvertTo(DType dtype) const;

  // INVALID_ARGUMENT unless bytes().size() is product(shape) * element bytes.
  // The server checks it too; this one needs no call.
  absl::Status Check() const;

  bool present() const { return dtype_ != DType::kUnspecified; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  // Valid as long as this tensor or a copy of it (Borrow: the caller's bytes).
  std::string_view bytes() const { return bytes_; }
  // What keeps bytes() alive; null for Borrow and an absent tensor.
  const std::shared_ptr<const void>& owner() const { return owner_; }
  // Nothing for tensors that are sent.
  const std::optional<SharedPlace>& shared_place() const {
    return shared_place_;
  }

 private:
  DType dtype_ = DType::kUnspecified;
  Shape shape_;
  std::shared_ptr<const void> owner_;
  std::string_view bytes_;
  std::optional<SharedPlace> shared_place_;
};

}  // namespace attn::client
