#include "core/attention/onednn_ukernel_cache.h"

#include <utility>

namespace attn {

absl::StatusOr<std::shared_ptr<const Ukernel>> UkernelCache::Get(
    const GemmShape& shape, bool accumulate) {
  const Key key{shape.m,   shape.n,   shape.k,   shape.lda,
                shape.ldb, shape.ldc, accumulate};
  {
    absl::ReaderMutexLock lock(&mutex_);
    const auto found = kernels_.find(key);
    if (found != kernels_.end()) return found->second;
  }
  // Without the lock: the others have products to make.
  auto made = Ukernel::Create(shape, accumulate);
  if (absl::IsUnimplemented(made.status())) made = nullptr;
  if (!made.ok()) return made;
  absl::MutexLock lock(&mutex_);
  // Emptied, not closed: what is in here must not decide which way a product
  // goes, and so its bits. Who fills it with ever new shapes waits for all of
  // them; the others then wait for theirs once more.
  if (kernels_.size() >= max_shapes_) kernels_.clear();
  return kernels_.try_emplace(key, *std::move(made)).first->second;
}

size_t UkernelCache::size() const {
  absl::ReaderMutexLock lock(&mutex_);
  return kernels_.size();
}

}  // namespace attn
