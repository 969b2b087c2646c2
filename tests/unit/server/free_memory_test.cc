#include "server/free_memory.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "server/process_facts.h"

namespace attn {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

// 64 MiB of blocks too small for malloc to map one by one, all freed but the
// last, which keeps the heap from shrinking by itself.
std::unique_ptr<std::string> LeaveHoles() {
  std::vector<std::unique_ptr<std::string>> blocks;
  for (int64_t i = 0; i < 64 * kMiB / 4096; ++i) {
    blocks.push_back(std::make_unique<std::string>(4000, 'x'));
  }
  return std::move(blocks.back());
}

TEST(FreeMemoryTest, IsGivenBackWhereItIsMuch) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer has a malloc of its own";
#endif
  const auto last = LeaveHoles();
  const int64_t held = ReadProcessFacts().resident_bytes;
  ReturnFreeMemory(256 * kMiB);
  EXPECT_GT(ReadProcessFacts().resident_bytes, held - kMiB);
  ReturnFreeMemory(kMiB);
  EXPECT_LT(ReadProcessFacts().resident_bytes, held - 48 * kMiB);
}

}  // namespace
}  // namespace attn
