#include "core/memory/block_pool.h"

#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace attn {
namespace {

TEST(BlockPoolTest, BlockThatIsGivenBackComesAgain) {
  BlockPool pool(2);
  void* first = pool.Take(100);
  pool.Give(first, 100);
  void* second = pool.Take(100);
  EXPECT_EQ(second, first);
  void* third = pool.Take(100);
  EXPECT_NE(third, second);
  pool.Give(second, 100);
  pool.Give(third, 100);
}

TEST(BlockPoolTest, OtherSizesAreNotMixedUp) {
  BlockPool pool(2);
  void* small = pool.Take(16);
  pool.Give(small, 16);
  void* large = pool.Take(4096);
  std::memset(large, 1, 4096);  // A sanitizer would see a block of 16.
  pool.Give(large, 4096);
  EXPECT_EQ(pool.Take(16), small);
  pool.Give(small, 16);
}

TEST(BlockPoolTest, SharedObjectsOfManyThreadsStayApart) {
  const auto pool = std::make_shared<BlockPool>(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&pool, t] {
      for (int i = 0; i < 2000; ++i) {
        const auto made =
            std::allocate_shared<int>(BlockAllocator<int>(pool), t * 10000 + i);
        ASSERT_EQ(*made, t * 10000 + i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(BlockPoolTest, SharedObjectMayOutliveThePoolsMaker) {
  auto pool = std::make_shared<BlockPool>(4);
  auto made = std::allocate_shared<int>(BlockAllocator<int>(pool), 5);
  pool.reset();
  EXPECT_EQ(*made, 5);
  made.reset();
}

}  // namespace
}  // namespace attn
