#include "core/kv_cache/page_pool.h"

#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn {
namespace {

constexpr int64_t kKiB = 1024;
constexpr int64_t kMiB = 1024 * kKiB;

PageRef MustAllocate(PagePool& pool, int64_t page_bytes) {
  auto page = pool.Allocate(page_bytes);
  EXPECT_TRUE(page.ok()) << page.status();
  return page.ok() ? *std::move(page) : PageRef();
}

// Pages until the pool refuses.
std::vector<PageRef> Fill(PagePool& pool, int64_t page_bytes) {
  std::vector<PageRef> pages;
  while (true) {
    auto page = pool.Allocate(page_bytes);
    if (!page.ok()) return pages;
    pages.push_back(*std::move(page));
  }
}

bool IsZero(const PageRef& page, int64_t page_bytes) {
  const std::string data(reinterpret_cast<const char*>(page.data()),
                         static_cast<size_t>(page_bytes));
  return data.find_first_not_of('\0') == std::string::npos;
}

TEST(PagePoolTest, PageIsAlignedAndZeroEvenWhenUsedBefore) {
  PagePool pool(4 * kMiB);
  for (const int64_t page_bytes : {int64_t{64}, 96 * kKiB, 512 * kKiB}) {
    for (int round = 0; round < 3; ++round) {
      const PageRef page = MustAllocate(pool, page_bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(page.data()) % 64, 0u);
      EXPECT_TRUE(IsZero(page, page_bytes)) << page_bytes << " " << round;
      std::memset(page.data(), 0xff, static_cast<size_t>(page_bytes));
    }
  }
}

// A slab below 2 MiB comes from malloc, which zeroes nothing.
TEST(PagePoolTest, PageOfASmallSlabIsZero) {
  for (int round = 0; round < 3; ++round) {
    PagePool pool(64 * kKiB);
    const PageRef page = MustAllocate(pool, 64 * kKiB);
    EXPECT_TRUE(IsZero(page, 64 * kKiB));
    std::memset(page.data(), 0xff, 64 * kKiB);
  }
}

TEST(PagePoolTest, UsedBytesCountPagesThatAreReferredTo) {
  PagePool pool(4 * kMiB);
  PageRef first = MustAllocate(pool, 512 * kKiB);
  const PageRef second = MustAllocate(pool, 64 * kKiB);
  EXPECT_EQ(pool.used_bytes(), 576 * kKiB);
  PageRef copy = first;
  first = PageRef();
  EXPECT_EQ(pool.used_bytes(), 576 * kKiB);
  copy = PageRef();
  EXPECT_EQ(pool.used_bytes(), 64 * kKiB);
}

TEST(PagePoolTest, SharedBytesCountPagesOfTwoOwnersOnce) {
  PagePool pool(4 * kMiB);
  const PageRef page = MustAllocate(pool, 512 * kKiB);
  page.AddOwner();
  EXPECT_EQ(pool.shared_bytes(), 0);
  EXPECT_FALSE(page.is_shared());
  page.AddOwner();
  page.AddOwner();
  EXPECT_EQ(pool.shared_bytes(), 512 * kKiB);
  EXPECT_TRUE(page.is_shared());
  page.DropOwner();
  EXPECT_EQ(pool.shared_bytes(), 512 * kKiB);
  page.DropOwner();
  EXPECT_EQ(pool.shared_bytes(), 0);
  page.DropOwner();
}

TEST(PagePoolTest, SoleMeansTheOnlyReference) {
  PagePool pool(kMiB);
  const PageRef page = MustAllocate(pool, 64 * kKiB);
  EXPECT_TRUE(page.is_sole());
  PageRef copy = page;
  EXPECT_FALSE(page.is_sole());
  const PageRef moved = std::move(copy);
  EXPECT_FALSE(page.is_sole());
  copy = PageRef(page);
  copy = moved;
  { const PageRef gone = std::move(copy); }
  EXPECT_FALSE(page.is_sole());
}

TEST(PagePoolTest, BudgetIsUsableToTheLastPage) {
  for (const int64_t page_bytes : {4 * kKiB, 96 * kKiB, 512 * kKiB, 2 * kMiB}) {
    for (const int64_t num_pages : {1, 3, 7}) {
      PagePool pool(num_pages * page_bytes);
      const auto pages = Fill(pool, page_bytes);
      // 96 KiB: a whole slab leaves a part of its 2 MiB unused.
      EXPECT_EQ(std::ssize(pages), num_pages) << page_bytes;
      EXPECT_LE(pool.slab_bytes(), pool.max_bytes());
    }
  }
}

TEST(PagePoolTest, SlabsNeverExceedTheBudget) {
  PagePool pool(5 * kMiB);
  std::vector<std::vector<PageRef>> held;
  for (const int64_t page_bytes :
       {96 * kKiB, 2560 * kKiB, 1536 * kKiB, 4 * kKiB, int64_t{64}}) {
    held.push_back(Fill(pool, page_bytes));
    EXPECT_LE(pool.slab_bytes(), pool.max_bytes());
    EXPECT_LE(pool.used_bytes(), pool.slab_bytes());
  }
}

TEST(PagePoolTest, RefusalNamesTheNumbers) {
  PagePool pool(kMiB);
  const auto pages = Fill(pool, 256 * kKiB);
  const absl::Status status = pool.Allocate(256 * kKiB).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), Reason::kKvMemory);
  EXPECT_EQ(status.message(),
            "a KV page of 262144 bytes does not fit; 1048576 bytes are in use "
            "and 1048576 taken from the system, of 1048576 allowed");
}

TEST(PagePoolTest, PageBeyondTheWholeBudgetIsRefused) {
  PagePool none(0);
  EXPECT_EQ(ReasonOf(none.Allocate(64).status()), Reason::kKvMemory);
  PagePool pool(kMiB);
  EXPECT_EQ(ReasonOf(pool.Allocate(kMiB + 64).status()), Reason::kKvMemory);
}

TEST(PagePoolTest, EmptySlabsOfOtherSizesMakeRoom) {
  PagePool pool(4 * kMiB);
  Fill(pool, 512 * kKiB).clear();
  EXPECT_EQ(pool.used_bytes(), 0);
  EXPECT_GT(pool.slab_bytes(), 0);
  const auto pages = Fill(pool, kMiB);
  EXPECT_EQ(pages.size(), 4u);
  EXPECT_EQ(pool.used_bytes(), 4 * kMiB);
}

TEST(PagePoolTest, OneEmptySlabOfASizeIsKept) {
  PagePool pool(64 * kMiB);
  Fill(pool, 512 * kKiB).clear();
  EXPECT_EQ(pool.slab_bytes(), 2 * kMiB);
}

TEST(PagePoolTest, EmptySlabsOverAllSizesAreFew) {
  PagePool pool(256 * kMiB);
  for (int64_t i = 1; i <= 32; ++i) MustAllocate(pool, i * 4 * kKiB);
  EXPECT_EQ(pool.slab_bytes(), 16 * 2 * kMiB);
}

TEST(PagePoolTest, FreedPageIsUsedBeforeANewSlab) {
  PagePool pool(64 * kMiB);
  std::vector<PageRef> pages;
  for (int i = 0; i < 8; ++i) pages.push_back(MustAllocate(pool, 512 * kKiB));
  pages.erase(pages.begin() + 1, pages.begin() + 3);
  for (int i = 0; i < 2; ++i) pages.push_back(MustAllocate(pool, 512 * kKiB));
  EXPECT_EQ(pool.slab_bytes(), 4 * kMiB);
}

TEST(PagePoolDeathTest, PoolMustOutliveItsPages) {
  EXPECT_DEATH(
      {
        PageRef page;
        PagePool pool(kMiB);
        page = MustAllocate(pool, 64);
      },
      "used_bytes");
}

// The threads pass pages to each other by copying references.
TEST(PagePoolTest, ThreadsShareAndGiveBackEverything) {
  constexpr int kThreads = 16;
  PagePool pool(8 * kMiB);
  std::vector<PageRef> common;
  for (int i = 0; i < 8; ++i) common.push_back(MustAllocate(pool, 64 * kKiB));
  const auto work = [&](uint64_t seed) {
    test::Random random(seed);
    std::vector<PageRef> own;
    for (int64_t i = 0; i < test::Scaled(20000, 1000); ++i) {
      const PageRef& shared = common[random.Between(0, 7)];
      const PageRef copy = shared;
      copy.AddOwner();
      auto page = pool.Allocate(random.Between(1, 4) * 16 * kKiB);
      const bool has_page = page.ok();
      if (has_page) {
        ASSERT_EQ(page->data()[0], std::byte{0});
        page->data()[0] = std::byte{1};
        own.push_back(*std::move(page));
      }
      copy.DropOwner();
      if (own.size() > 20 || !has_page) own.clear();
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back(work, static_cast<uint64_t>(i));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool.used_bytes(), 8 * 64 * kKiB);
  EXPECT_EQ(pool.shared_bytes(), 0);
  EXPECT_LE(pool.slab_bytes(), pool.max_bytes());
}

}  // namespace
}  // namespace attn
