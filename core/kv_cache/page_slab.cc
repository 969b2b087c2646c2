#include "core/kv_cache/page_slab.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/checked_math.h"

namespace attn {
namespace {

// What AlignedBuffer takes for it.
int64_t MemoryBytes(int64_t bytes) {
  const int64_t lines = RoundUp(bytes, kBufferAlignment);
  return lines < kHugePageBytes ? lines : RoundUp(bytes, kHugePageBytes);
}

}  // namespace

SlabShape SlabShape::Whole(int64_t page_bytes) {
  const int64_t least = std::max<int64_t>(1, kHugePageBytes / page_bytes);
  SlabShape best;
  double best_share = 2;
  for (int64_t n = least; n < least + 8; ++n) {
    const int64_t bytes = RoundUp(n * page_bytes, kHugePageBytes);
    const int64_t num_pages = bytes / page_bytes;
    const double unused_share =
        static_cast<double>(bytes - num_pages * page_bytes) /
        static_cast<double>(bytes);
    if (unused_share < best_share) {
      best = {num_pages, bytes};
      best_share = unused_share;
    }
    if (best_share <= 0.125) break;
  }
  return best;
}

std::optional<SlabShape> SlabShape::Within(int64_t page_bytes,
                                           int64_t room_bytes) {
  const SlabShape whole = Whole(page_bytes);
  if (whole.bytes <= room_bytes) return whole;
  // Memory from 2 MiB on comes in multiples of that.
  const int64_t huge_bytes = room_bytes - room_bytes % kHugePageBytes;
  int64_t num_pages = huge_bytes / page_bytes;
  if (num_pages == 0) {
    num_pages =
        std::min(room_bytes, kHugePageBytes - kBufferAlignment) / page_bytes;
  }
  if (num_pages == 0) return std::nullopt;
  const int64_t bytes = MemoryBytes(num_pages * page_bytes);
  if (bytes > room_bytes) return std::nullopt;
  return SlabShape{num_pages, bytes};
}

PageSlab::PageSlab(AlignedBuffer memory, int64_t page_bytes, int64_t num_pages)
    : page_bytes_(page_bytes),
      num_pages_(num_pages),
      memory_(std::move(memory)),
      pages_(std::make_unique<KvPage[]>(static_cast<size_t>(num_pages))),
      tenants_(static_cast<size_t>(num_pages)) {
  ATTN_CHECK(num_pages * page_bytes <= memory_.size_bytes());
  returned_.reserve(static_cast<size_t>(num_pages));
  for (int64_t i = 0; i < num_pages; ++i) pages_[i].slab = this;
}

PageSlab::Taken PageSlab::Take(Tenant* tenant) {
  ATTN_CHECK(!is_full());
  ++num_taken_;
  Taken taken;
  if (!returned_.empty()) {
    taken.page = returned_.back();
    returned_.pop_back();
  } else {
    taken.page = &pages_[num_fresh_++];
    // Mapped memory starts as zero; touching it twice would cost twice.
    taken.is_zero = memory_.size_bytes() >= kHugePageBytes;
  }
  tenants_[static_cast<size_t>(IndexOf(*taken.page))] = tenant;
  return taken;
}

void PageSlab::Return(KvPage* page) {
  ATTN_CHECK(num_taken_ > 0);
  --num_taken_;
  returned_.push_back(page);
}

}  // namespace attn
