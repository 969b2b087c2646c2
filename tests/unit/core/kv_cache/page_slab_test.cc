#include "core/kv_cache/page_slab.h"

#include <optional>
#include <set>
#include <utility>

#include "gtest/gtest.h"

namespace attn {
namespace {

constexpr int64_t kKiB = 1024;
constexpr int64_t kMiB = 1024 * kKiB;

struct ShapeCase {
  int64_t page_bytes, num_pages, bytes;
};

TEST(PageSlabTest, WholeSlabIsTwoMebibytesWhereThatFits) {
  for (const ShapeCase& c :
       {ShapeCase{512 * kKiB, 4, 2 * kMiB}, ShapeCase{256, 8192, 2 * kMiB},
        ShapeCase{2 * kMiB, 1, 2 * kMiB}, ShapeCase{64 * kMiB, 1, 64 * kMiB},
        // 2 MiB would leave a quarter and more unused.
        ShapeCase{1536 * kKiB, 4, 6 * kMiB},
        ShapeCase{2560 * kKiB, 3, 8 * kMiB}}) {
    const SlabShape shape = SlabShape::Whole(c.page_bytes);
    EXPECT_EQ(shape.num_pages, c.num_pages) << c.page_bytes;
    EXPECT_EQ(shape.bytes, c.bytes) << c.page_bytes;
  }
}

TEST(PageSlabTest, ShapeWithinAnyRoomFits) {
  for (const int64_t page_bytes : {int64_t{64}, 4 * kKiB, 96 * kKiB, 700 * kKiB,
                                   1536 * kKiB, 2 * kMiB, 2560 * kKiB}) {
    for (int64_t room = 0; room < 9 * kMiB; room += 37 * kKiB) {
      const auto shape = SlabShape::Within(page_bytes, room);
      if (!shape.has_value()) continue;
      ASSERT_GT(shape->num_pages, 0);
      ASSERT_LE(shape->num_pages * page_bytes, shape->bytes);
      ASSERT_LE(shape->bytes, room);
    }
  }
}

TEST(PageSlabTest, RoomForOnePageHoldsOnePage) {
  for (const int64_t page_bytes :
       {int64_t{64}, 4 * kKiB, 96 * kKiB, 700 * kKiB, 1536 * kKiB, 2 * kMiB}) {
    const auto shape = SlabShape::Within(page_bytes, page_bytes);
    ASSERT_TRUE(shape.has_value()) << page_bytes;
    EXPECT_EQ(shape->num_pages, 1) << page_bytes;
    EXPECT_FALSE(SlabShape::Within(page_bytes, page_bytes - 64).has_value());
  }
}

TEST(PageSlabTest, PagesAreApartAndComeBack) {
  PageSlab slab(*AlignedBuffer::Allocate(2 * kMiB), 512 * kKiB, 4);
  std::set<std::byte*> data;
  KvPage* last = nullptr;
  for (int i = 0; i < 4; ++i) {
    ASSERT_FALSE(slab.is_full());
    const PageSlab::Taken taken = slab.Take(nullptr);
    EXPECT_TRUE(taken.is_zero);
    last = taken.page;
    data.insert(slab.DataOf(*last));
  }
  EXPECT_EQ(data.size(), 4u);
  EXPECT_EQ(*data.rbegin() - *data.begin(), 1536 * kKiB);
  EXPECT_TRUE(slab.is_full());
  slab.Return(last);
  const PageSlab::Taken again = slab.Take(nullptr);
  EXPECT_EQ(again.page, last);
  EXPECT_FALSE(again.is_zero);
}

TEST(PageSlabTest, SmallMemoryIsNotTakenForZero) {
  PageSlab slab(*AlignedBuffer::Allocate(64 * kKiB), 32 * kKiB, 2);
  EXPECT_FALSE(slab.Take(nullptr).is_zero);
}

}  // namespace
}  // namespace attn
