// The ukernels of the shapes that came lately. Making one takes as long as a
// product of a whole tile, so that products look here first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <tuple>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/attention/onednn_ukernel.h"
#include "core/attention/tile_gemm.h"

namespace attn {

// Thread-safe.
class UkernelCache {
 public:
  // A kernel takes 18 KiB; 256 of them are enough for a dozen head dims.
  static constexpr size_t kMaxShapes = 256;

  explicit UkernelCache(size_t max_shapes = kMaxShapes)
      : max_shapes_(max_shapes) {}

  // Made when it is not there; null where the library refuses the shape, which
  // is a function of shape and CPU. Allocates nothing for a shape that is
  // known. INTERNAL when the library fails.
  absl::StatusOr<std::shared_ptr<const Ukernel>> Get(const GemmShape& shape,
                                                     bool accumulate);

  size_t size() const;

 private:
  // m, n, k, lda, ldb, ldc, accumulate.
  using Key =
      std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool>;

  const size_t max_shapes_;

  mutable absl::Mutex mutex_;
  std::map<Key, std::shared_ptr<const Ukernel>> kernels_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn
