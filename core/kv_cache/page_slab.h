// One block of huge-page memory, cut into pages of one size, with a count for
// each. The pool's building block.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "core/memory/aligned_buffer.h"
#include "core/tenant/tenant.h"

namespace attn {

class PageSlab;

// What is known of a page; kept small, because a fork touches thousands.
struct KvPage {
  static constexpr uint64_t kOneReference = 1;
  static constexpr uint64_t kOneOwner = uint64_t{1} << 32;

  static uint64_t References(uint64_t counts) { return counts & 0xffffffffu; }
  static uint64_t Owners(uint64_t counts) { return counts >> 32; }

  // Owners in the upper half, references in the lower: read and written as one.
  std::atomic<uint64_t> counts{0};
  PageSlab* slab = nullptr;
};

// How many pages, in how much memory.
struct SlabShape {
  int64_t num_pages = 0;
  int64_t bytes = 0;

  // A whole slab: 2 MiB, or as many times that as leave at most an eighth
  // unused (or the least of some). REQUIRES: page_bytes > 0.
  static SlabShape Whole(int64_t page_bytes);
  // The most pages that fit into `room_bytes`; nothing if none does.
  static std::optional<SlabShape> Within(int64_t page_bytes,
                                         int64_t room_bytes);
};

// Thread-compatible: the pool guards it, except for the pages' counts and data.
class PageSlab {
 public:
  PageSlab(AlignedBuffer memory, int64_t page_bytes, int64_t num_pages);
  PageSlab(const PageSlab&) = delete;
  PageSlab& operator=(const PageSlab&) = delete;

  struct Taken {
    KvPage* page = nullptr;
    bool is_zero = false;  // Never used and fresh from the system.
  };
  // `tenant`: who pays for the page until it is returned; may be null.
  // REQUIRES: not is_full().
  Taken Take(Tenant* tenant);
  void Return(KvPage* page);
  // Null: nobody pays. REQUIRES: it is taken.
  Tenant* TenantOf(const KvPage& page) const {
    return tenants_[static_cast<size_t>(IndexOf(page))];
  }

  std::byte* DataOf(const KvPage& page) const {
    return memory_.data() + IndexOf(page) * page_bytes_;
  }
  int64_t page_bytes() const { return page_bytes_; }
  int64_t size_bytes() const { return memory_.size_bytes(); }
  bool is_full() const { return num_taken_ == num_pages_; }
  bool is_empty() const { return num_taken_ == 0; }

  // Where the pool keeps this slab, for the pool alone.
  std::list<PageSlab>::iterator place;
  void* owner = nullptr;

 private:
  int64_t IndexOf(const KvPage& page) const { return &page - pages_.get(); }

  const int64_t page_bytes_;
  const int64_t num_pages_;
  AlignedBuffer memory_;
  std::unique_ptr<KvPage[]> pages_;  // [num_pages]
  // [num_pages] Apart from pages_, which forks touch by the thousand.
  std::vector<Tenant*> tenants_;
  // Pages that were returned; those from num_fresh_ on were never taken.
  std::vector<KvPage*> returned_;
  int64_t num_fresh_ = 0;
  int64_t num_taken_ = 0;
};

}  // namespace attn
