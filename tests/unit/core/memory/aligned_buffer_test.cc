#include "core/memory/aligned_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "gtest/gtest.h"

namespace attn {
namespace {

uintptr_t Address(const AlignedBuffer& buffer) {
  return reinterpret_cast<uintptr_t>(buffer.data());
}

bool IsZero(const AlignedBuffer& buffer) {
  return std::all_of(buffer.data(), buffer.data() + buffer.size_bytes(),
                     [](std::byte b) { return b == std::byte{0}; });
}

TEST(AlignedBufferTest, DefaultIsEmpty) {
  const AlignedBuffer buffer;
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_EQ(buffer.size_bytes(), 0);
}

// Every size around the step from heap to mapping can be written to its last
// byte and given back.
TEST(AlignedBufferTest, HoldsEverySizeAtItsAlignment) {
  for (const int64_t bytes :
       {int64_t{1}, int64_t{63}, int64_t{64}, int64_t{65}, int64_t{4097},
        kHugePageBytes - 65, kHugePageBytes - 64, kHugePageBytes - 63,
        kHugePageBytes - 1, kHugePageBytes, kHugePageBytes + 1,
        3 * kHugePageBytes}) {
    auto buffer = AlignedBuffer::Allocate(bytes);
    ASSERT_TRUE(buffer.ok()) << bytes;
    EXPECT_GE(buffer->size_bytes(), bytes);
    EXPECT_EQ(Address(*buffer) % kBufferAlignment, 0u) << bytes;
    std::memset(buffer->data(), 0xab, static_cast<size_t>(bytes));
    EXPECT_EQ(buffer->data()[bytes - 1], std::byte{0xab});
  }
}

TEST(AlignedBufferTest, LargeBuffersAreHugePageAlignedAndZero) {
  for (int i = 0; i < 3; ++i) {
    auto buffer = AlignedBuffer::Allocate(kHugePageBytes + 1);
    ASSERT_TRUE(buffer.ok());
    EXPECT_EQ(Address(*buffer) % static_cast<uintptr_t>(kHugePageBytes), 0u);
    EXPECT_TRUE(IsZero(*buffer));
    std::memset(buffer->data(), 1, static_cast<size_t>(buffer->size_bytes()));
  }
}

TEST(AlignedBufferTest, MoveTakesTheMemory) {
  AlignedBuffer from = AlignedBuffer::Allocate(100).value();
  std::byte* const data = from.data();
  AlignedBuffer to(std::move(from));
  EXPECT_EQ(to.data(), data);
  EXPECT_EQ(from.data(), nullptr);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(from.size_bytes(), 0);
}

TEST(AlignedBufferTest, MoveAssignmentFreesTheOldMemory) {
  AlignedBuffer a = AlignedBuffer::Allocate(100).value();
  AlignedBuffer b = AlignedBuffer::Allocate(kHugePageBytes).value();
  std::byte* const data = b.data();
  a = std::move(b);  // LeakSanitizer watches the 100 bytes.
  EXPECT_EQ(a.data(), data);
  EXPECT_EQ(b.data(), nullptr);  // NOLINT(bugprone-use-after-move)
  AlignedBuffer& self = a;
  a = std::move(self);
  EXPECT_EQ(a.data(), data);
}

TEST(AlignedBufferTest, MoreThanTheAddressSpaceIsResourceExhausted) {
  const auto buffer = AlignedBuffer::Allocate(int64_t{1} << 60);
  EXPECT_EQ(buffer.status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace attn
