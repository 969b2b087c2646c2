#include "core/memory/scratch_arena.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace attn {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

TEST(ScratchArenaTest, BytesForRoundsToTheAlignment) {
  EXPECT_EQ(ScratchArena::BytesFor<float>(0), 0);
  EXPECT_EQ(ScratchArena::BytesFor<float>(1), 64);
  EXPECT_EQ(ScratchArena::BytesFor<float>(16), 64);
  EXPECT_EQ(ScratchArena::BytesFor<double>(9), 128);
}

TEST(ScratchArenaTest, TakesAreAlignedAndApart) {
  ScratchArena arena;
  ASSERT_TRUE(arena
                  .Reset(ScratchArena::BytesFor<float>(3) +
                         ScratchArena::BytesFor<double>(5))
                  .ok());
  auto* a = arena.Take<float>(3);
  auto* b = arena.Take<double>(5);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % kBufferAlignment, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % kBufferAlignment, 0u);
  std::fill(a, a + 3, 1.0f);
  std::fill(b, b + 5, 2.0);
  EXPECT_EQ(a[2], 1.0f);
}

TEST(ScratchArenaTest, ResetHandsOutTheSameMemoryAgain) {
  ScratchArena arena;
  ASSERT_TRUE(arena.Reset(1000).ok());
  auto* first = arena.Take<float>(10);
  ASSERT_TRUE(arena.Reset(2000).ok());
  EXPECT_EQ(arena.Take<float>(10), first);
}

TEST(ScratchArenaTest, GrowsForALargeItem) {
  ScratchArena arena;
  ASSERT_TRUE(arena.Reset(1000).ok());
  ASSERT_TRUE(arena.Reset(40 * kMiB).ok());
  auto* taken = arena.Take<std::byte>(40 * kMiB);
  taken[40 * kMiB - 1] = std::byte{1};
}

TEST(ScratchArenaTest, ShrinksAgainAfterALargeItem) {
  ScratchArena arena;
  ASSERT_TRUE(arena.Reset(40 * kMiB).ok());
  ASSERT_TRUE(arena.Reset(1000).ok());
  EXPECT_DEATH(arena.Take<std::byte>(40 * kMiB), "CHECK failed");
}

TEST(ScratchArenaTest, ImpossibleSizeIsResourceExhaustedAndSurvived) {
  ScratchArena arena;
  EXPECT_EQ(arena.Reset(int64_t{1} << 60).code(),
            absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(arena.Reset(1000).ok());
  *arena.Take<float>(1) = 1;
}

TEST(ScratchArenaDeathTest, TakingMoreThanReservedIsABrokenPromise) {
  ScratchArena arena;
  ASSERT_TRUE(arena.Reset(kHugePageBytes).ok());
  EXPECT_DEATH(arena.Take<std::byte>(kHugePageBytes + 1), "CHECK failed");
}

}  // namespace
}  // namespace attn
