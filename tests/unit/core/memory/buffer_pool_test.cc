#include "core/memory/buffer_pool.h"

#include <cstring>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn {
namespace {

constexpr int64_t kKiB = 1024;
constexpr int64_t kMiB = 1024 * kKiB;

PooledBuffer MustLease(BufferPool& pool, int64_t bytes) {
  auto lease = pool.Lease(bytes);
  EXPECT_TRUE(lease.ok()) << lease.status();
  return lease.ok() ? *std::move(lease) : PooledBuffer();
}

bool IsExhausted(BufferPool& pool, int64_t bytes) {
  return pool.Lease(bytes).status().code() ==
         absl::StatusCode::kResourceExhausted;
}

TEST(BufferPoolTest, ClassesGrowInQuarterSteps) {
  EXPECT_EQ(BufferPool::ClassBytes(1), 4 * kKiB);
  EXPECT_EQ(BufferPool::ClassBytes(4 * kKiB), 4 * kKiB);
  EXPECT_EQ(BufferPool::ClassBytes(4 * kKiB + 1), 5 * kKiB);
  EXPECT_EQ(BufferPool::ClassBytes(5 * kKiB + 1), 6 * kKiB);
  EXPECT_EQ(BufferPool::ClassBytes(7 * kKiB + 1), 8 * kKiB);
  EXPECT_EQ(BufferPool::ClassBytes(8 * kKiB + 1), 10 * kKiB);
  EXPECT_EQ(BufferPool::ClassBytes(8 * kMiB + 1), 10 * kMiB);
}

TEST(BufferPoolTest, ClassesAreIdempotentMonotonicAndBigEnough) {
  test::Random random(1);
  int64_t previous = 0;
  for (int64_t bytes = 1; bytes < int64_t{1} << 40;
       bytes += 1 + random.Between(0, bytes / 16)) {
    const int64_t size = BufferPool::ClassBytes(bytes);
    ASSERT_GE(size, bytes);
    ASSERT_GE(size, previous) << bytes;
    ASSERT_EQ(BufferPool::ClassBytes(size), size) << bytes;
    previous = size;
  }
}

// From 2 to 8 MiB whole huge pages are coarser than quarter steps.
TEST(BufferPoolTest, AtMostAFifthOfAClassIsUnused) {
  test::Random random(2);
  for (int64_t bytes = 4 * kKiB; bytes < int64_t{1} << 40;
       bytes += 1 + random.Between(0, bytes / 64)) {
    const int64_t unused = BufferPool::ClassBytes(bytes) - bytes;
    if (bytes > 2 * kMiB && bytes < 8 * kMiB) {
      ASSERT_LT(unused, 2 * kMiB) << bytes;
    } else {
      ASSERT_LE(5 * unused, BufferPool::ClassBytes(bytes)) << bytes;
    }
  }
}

TEST(BufferPoolTest, LeaseOfNothingIsEmptyAndFree) {
  BufferPool pool(0);
  const PooledBuffer lease = MustLease(pool, 0);
  EXPECT_EQ(lease.data(), nullptr);
  EXPECT_EQ(pool.bytes(), 0);
}

TEST(BufferPoolTest, LeaseIsAlignedAndWritable) {
  BufferPool pool(64 * kMiB);
  for (const int64_t bytes : {int64_t{1}, 5 * kKiB, 2 * kMiB - 1, 3 * kMiB}) {
    const PooledBuffer lease = MustLease(pool, bytes);
    ASSERT_GE(lease.size_bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(lease.data()) % kBufferAlignment, 0u);
    std::memset(lease.data(), 1, static_cast<size_t>(bytes));
  }
}

TEST(BufferPoolTest, ReturnedBufferIsKeptAndLeasedAgain) {
  BufferPool pool(kMiB);
  std::byte* data = nullptr;
  {
    const PooledBuffer lease = MustLease(pool, 10 * kKiB);
    data = lease.data();
    EXPECT_EQ(pool.leased_bytes(), 10 * kKiB);
    EXPECT_EQ(pool.bytes(), 10 * kKiB);
  }
  EXPECT_EQ(pool.leased_bytes(), 0);
  EXPECT_EQ(pool.bytes(), 10 * kKiB);
  EXPECT_EQ(MustLease(pool, 9 * kKiB).data(), data);
}

TEST(BufferPoolTest, MoveAssignmentReturnsTheOldLease) {
  BufferPool pool(kMiB);
  PooledBuffer a = MustLease(pool, 4 * kKiB);
  PooledBuffer b = MustLease(pool, 8 * kKiB);
  a = std::move(b);
  EXPECT_EQ(pool.leased_bytes(), 8 * kKiB);
  b = PooledBuffer();
  EXPECT_EQ(pool.leased_bytes(), 8 * kKiB);
  a = PooledBuffer();
  EXPECT_EQ(pool.leased_bytes(), 0);
}

TEST(BufferPoolTest, ExhaustsAtTheCapAndRecovers) {
  BufferPool pool(8 * kKiB);
  PooledBuffer first = MustLease(pool, 4 * kKiB);
  const PooledBuffer second = MustLease(pool, 4 * kKiB);
  EXPECT_TRUE(IsExhausted(pool, 1));
  EXPECT_EQ(pool.leased_bytes(), 8 * kKiB);
  first = PooledBuffer();
  EXPECT_NE(MustLease(pool, 1).data(), nullptr);
}

TEST(BufferPoolTest, RequestBeyondTheCapIsRefusedBeforeAllocation) {
  BufferPool pool(8 * kKiB);
  EXPECT_TRUE(IsExhausted(pool, 8 * kKiB + 1));
  EXPECT_TRUE(IsExhausted(pool, INT64_MAX));
  EXPECT_EQ(pool.bytes(), 0);
}

TEST(BufferPoolTest, KeptBuffersOfOtherClassesMakeRoom) {
  BufferPool pool(16 * kKiB);
  {
    const PooledBuffer a = MustLease(pool, 4 * kKiB);
    const PooledBuffer b = MustLease(pool, 12 * kKiB);
  }
  EXPECT_EQ(pool.bytes(), 16 * kKiB);
  // The largest kept one goes first, and it is enough.
  const PooledBuffer lease = MustLease(pool, 8 * kKiB);
  EXPECT_EQ(pool.leased_bytes(), 8 * kKiB);
  EXPECT_EQ(pool.bytes(), 12 * kKiB);
}

TEST(BufferPoolTest, FailedSystemAllocationGivesTheBytesBack) {
  BufferPool pool(INT64_MAX / 2);
  EXPECT_TRUE(IsExhausted(pool, int64_t{1} << 60));
  EXPECT_EQ(pool.leased_bytes(), 0);
  EXPECT_EQ(pool.bytes(), 0);
}

TEST(BufferPoolTest, LeaseOutlivesThePool) {
  std::optional<BufferPool> pool(kMiB);
  PooledBuffer lease = MustLease(*pool, 3 * kKiB);
  pool.reset();
  std::memset(lease.data(), 1, 3 * kKiB);
  lease = PooledBuffer();
}

// Leases and returns at random, and writes its own mark to every lease.
void LeaseAtRandom(BufferPool& pool, uint64_t seed, int64_t rounds) {
  test::Random random(seed);
  std::vector<PooledBuffer> held;
  for (int64_t i = 0; i < rounds; ++i) {
    auto lease = pool.Lease(random.Between(1, 64 * kKiB));
    if (lease.ok()) {
      std::memset(lease->data(), static_cast<int>(seed), 64);
      held.push_back(*std::move(lease));
    }
    for (const PooledBuffer& buffer : held) {
      ASSERT_EQ(buffer.data()[63], static_cast<std::byte>(seed));
    }
    // NOLINTNEXTLINE(bugprone-use-after-move): what a move leaves is the point.
    if (held.size() > 6 || (!lease.ok() && !held.empty())) {
      held.erase(held.begin());
    }
    ASSERT_LE(pool.bytes(), 512 * kKiB);
  }
}

TEST(BufferPoolTest, FourThreadsNeverShareABufferOrPassTheCap) {
  BufferPool pool(512 * kKiB);
  std::vector<std::thread> threads;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([&pool, seed] {
      LeaseAtRandom(pool, seed, test::Scaled(20000, 2000));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool.leased_bytes(), 0);
}

TEST(BufferPoolDeathTest, NegativeLeaseIsABrokenPromise) {
  BufferPool pool(kMiB);
  EXPECT_DEATH(static_cast<void>(pool.Lease(-1)), "CHECK failed: bytes >= 0");
}

}  // namespace
}  // namespace attn
