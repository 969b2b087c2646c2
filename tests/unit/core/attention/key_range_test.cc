#include "core/attention/key_range.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "gtest/gtest.h"

namespace attn {
namespace {

__extension__ using Wide = __int128;

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// The contract, word by word.
bool IsAllowed(const KeyStructure& s, int64_t row, int64_t key) {
  const Wide position = Wide{s.offset} + row;
  if (key < 0 || key >= s.kv_limit) return false;
  if (s.is_causal && key > position) return false;
  if (s.left_window && position - key > *s.left_window) return false;
  if (s.right_window && key - position > *s.right_window) return false;
  return true;
}

// A range that holds exactly the allowed keys of 0..kv_limit.
void ExpectExact(const KeyStructure& s, int64_t row) {
  const KeyRange range = s.Allowed(row);
  ASSERT_GE(range.first, 0);
  ASSERT_LE(range.last, s.kv_limit);
  for (int64_t key = -2; key < s.kv_limit + 2; ++key) {
    ASSERT_EQ(range.Contains(key), IsAllowed(s, row, key))
        << "offset " << s.offset << " causal " << s.is_causal << " left "
        << s.left_window.value_or(-1) << " right "
        << s.right_window.value_or(-1) << " limit " << s.kv_limit << " row "
        << row << " key " << key;
  }
}

const std::vector<int64_t>& Offsets() {
  static const std::vector<int64_t> offsets = {
      kMin, kMin + 1, kMin / 2, -10, -3,       -1,       0,        1,
      2,    5,        9,        11,  kMax / 2, kMax - 5, kMax - 1, kMax};
  return offsets;
}

const std::vector<std::optional<int64_t>>& Windows() {
  static const std::vector<std::optional<int64_t>> windows = {
      std::nullopt, 0, 1, 3, 12, kMax - 1, kMax};
  return windows;
}

class KeyRangeTest : public testing::TestWithParam<std::tuple<bool, int64_t>> {
};

TEST_P(KeyRangeTest, HoldsExactlyTheAllowedKeys) {
  const auto [is_causal, kv_limit] = GetParam();
  for (const int64_t offset : Offsets()) {
    for (const auto& left : Windows()) {
      for (const auto& right : Windows()) {
        const KeyStructure s{.offset = offset,
                             .is_causal = is_causal,
                             .left_window = left,
                             .right_window = right,
                             .kv_limit = kv_limit};
        for (const int64_t row : {0, 1, 4, 9}) ExpectExact(s, row);
        if (HasFatalFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Grid, KeyRangeTest,
                         testing::Combine(testing::Bool(),
                                          testing::Values(0, 1, 7, 12)));

KeyStructure LargestStructure(int64_t offset) {
  KeyStructure structure;
  structure.offset = offset;
  structure.kv_limit = kMax;
  return structure;
}

TEST(KeyRangeExtremesTest, LargestLimitAndRowDoNotOverflow) {
  EXPECT_EQ(LargestStructure(kMax).Allowed(kMax), (KeyRange{0, kMax}));
  KeyStructure own = LargestStructure(kMax);
  own.is_causal = true;
  own.left_window = 0;
  EXPECT_TRUE(own.Allowed(0).empty());
  EXPECT_TRUE(own.Allowed(kMax).empty());
  own.offset = kMax - 1;
  EXPECT_EQ(own.Allowed(0), (KeyRange{kMax - 1, kMax}));
}

TEST(KeyRangeExtremesTest, EmptyMeansNoKey) {
  EXPECT_TRUE((KeyRange{3, 3}).empty());
  EXPECT_TRUE((KeyRange{4, 3}).empty());
  EXPECT_FALSE((KeyRange{4, 3}).Contains(3));
  EXPECT_FALSE((KeyRange{2, 3}).empty());
}

}  // namespace
}  // namespace attn
