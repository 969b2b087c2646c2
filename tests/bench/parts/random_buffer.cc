#include "tests/bench/parts/random_buffer.h"

#include <cstring>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "tests/support/attention_case.h"
#include "tests/support/random.h"

namespace attn::bench {
namespace {

AlignedBuffer Aligned(const std::vector<std::byte>& bytes) {
  auto buffer = AlignedBuffer::Allocate(static_cast<int64_t>(bytes.size()));
  ATTN_CHECK(buffer.ok());
  std::memcpy(buffer->data(), bytes.data(), bytes.size());
  return *std::move(buffer);
}

}  // namespace

AlignedBuffer RandomBuffer(DataType dtype, int64_t n) {
  test::Random random(1);
  return Aligned(test::RandomTensor(dtype, n, random));
}

AlignedBuffer RandomCodes(int64_t n) {
  test::Random random(1);
  std::vector<std::byte> codes(static_cast<size_t>(n));
  for (std::byte& code : codes) code = static_cast<std::byte>(random.Next());
  return Aligned(codes);
}

}  // namespace attn::bench
