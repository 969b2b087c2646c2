#include "core/attention/top_keys.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

template <typename Float>
class TopKeysTest : public testing::Test {
 protected:
  static constexpr Float kInfinity = std::numeric_limits<Float>::infinity();
  static constexpr Float kNan = std::numeric_limits<Float>::quiet_NaN();

  struct Result {
    std::vector<int32_t> keys;
    std::vector<Float> scores;
  };

  // Offers the row in tiles of `tile` keys.
  static Result Top(const std::vector<Float>& row, int64_t top_k,
                    int64_t tile = 1000) {
    Result result{std::vector<int32_t>(static_cast<size_t>(top_k), 77),
                  std::vector<Float>(static_cast<size_t>(top_k), 77)};
    TopKeys<Float> top(result.scores.data(), result.keys.data(), top_k);
    const auto n = static_cast<int64_t>(row.size());
    for (int64_t key = 0; key < n; key += tile) {
      top.Offer(row.data() + key, std::min(tile, n - key), key);
    }
    EXPECT_EQ(top.Finish(), result.scores.data());
    EXPECT_EQ(top.keys(), result.keys.data());
    return result;
  }

  // The same by sorting all of the row.
  static Result Sorted(std::vector<Float> row, int64_t top_k) {
    for (Float& score : row) {
      if (std::isnan(score)) score = kInfinity;
    }
    std::vector<int32_t> keys(row.size());
    std::iota(keys.begin(), keys.end(), 0);
    std::erase_if(keys,
                  [&](int32_t key) { return row[size_t(key)] == -kInfinity; });
    std::stable_sort(keys.begin(), keys.end(), [&](int32_t a, int32_t b) {
      return row[size_t(a)] > row[size_t(b)];
    });
    keys.resize(static_cast<size_t>(top_k), -1);
    std::vector<Float> scores;
    for (const int32_t key : keys) {
      scores.push_back(key < 0 ? -kInfinity : row[size_t(key)]);
    }
    return {keys, scores};
  }
};

using Floats = testing::Types<float, double>;
TYPED_TEST_SUITE(TopKeysTest, Floats);

TYPED_TEST(TopKeysTest, LargestScoresComeFirst) {
  const auto top = TestFixture::Top({3, -1, 9, 4, 5}, 3);
  EXPECT_THAT(top.keys, ElementsAre(2, 4, 3));
  EXPECT_THAT(top.scores, ElementsAre(9, 5, 4));
}

TYPED_TEST(TopKeysTest, OfEqualScoresTheSmallerKeyComesFirst) {
  EXPECT_THAT(TestFixture::Top({1, 2, 2, 1, 2}, 2).keys, ElementsAre(1, 2));
  EXPECT_THAT(TestFixture::Top({1, 2, 2, 1, 2}, 4).keys,
              ElementsAre(1, 2, 4, 0));
  EXPECT_THAT(TestFixture::Top({0, 0, 0, 0, 0, 0, 0}, 3, 1).keys,
              ElementsAre(0, 1, 2));
}

TYPED_TEST(TopKeysTest, ZerosOfBothSignsAreEqual) {
  const auto minus_zero = static_cast<TypeParam>(-0.0);
  EXPECT_THAT(TestFixture::Top({minus_zero, 0, minus_zero}, 3).keys,
              ElementsAre(0, 1, 2));
}

TYPED_TEST(TopKeysTest, ForbiddenKeysAreNeverListed) {
  constexpr auto kNo = -TestFixture::kInfinity;
  const auto top = TestFixture::Top({kNo, 5, kNo, -7, kNo}, 4);
  EXPECT_THAT(top.keys, ElementsAre(1, 3, -1, -1));
  EXPECT_THAT(top.scores, ElementsAre(5, -7, kNo, kNo));
}

TYPED_TEST(TopKeysTest, RowWithoutKeysIsAllPadding) {
  constexpr auto kNo = -TestFixture::kInfinity;
  EXPECT_THAT(TestFixture::Top({}, 2).keys, ElementsAre(-1, -1));
  EXPECT_THAT(TestFixture::Top({kNo, kNo}, 3).keys, ElementsAre(-1, -1, -1));
}

TYPED_TEST(TopKeysTest, LowestFiniteScoreIsAllowed) {
  const TypeParam lowest = std::numeric_limits<TypeParam>::lowest();
  EXPECT_THAT(TestFixture::Top({lowest, lowest}, 3).keys,
              ElementsAre(0, 1, -1));
}

TYPED_TEST(TopKeysTest, NanCountsAsInfinity) {
  constexpr auto kNotANumber = TestFixture::kNan;
  constexpr auto kInfinite = TestFixture::kInfinity;
  const auto top =
      TestFixture::Top({1, kInfinite, 7, kNotANumber, kInfinite}, 4);
  EXPECT_THAT(top.keys, ElementsAre(1, 3, 4, 2));
  EXPECT_THAT(top.scores, ElementsAre(kInfinite, kInfinite, kInfinite, 7));
}

TYPED_TEST(TopKeysTest, KeysAreCountedFromTheFirstOfTheTile) {
  TypeParam score[1];
  int32_t key[1];
  TopKeys<TypeParam> top(score, key, 1);
  const TypeParam tile[] = {1, 2};
  top.Offer(tile, 2, 1000000);
  top.Finish();
  EXPECT_EQ(key[0], 1000001);
}

// Few different scores make many ties; some are NaN, some forbidden.
TYPED_TEST(TopKeysTest, EqualsASortOfTheWholeRow) {
  constexpr uint64_t kSeed = 11;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  test::Random random(kSeed);
  for (int64_t round = 0; round < test::Scaled(3000, 300); ++round) {
    std::vector<TypeParam> row(static_cast<size_t>(random.Between(0, 200)));
    const int64_t distinct = random.Between(1, 100);
    for (TypeParam& score : row) {
      score = static_cast<TypeParam>(random.Between(-distinct, distinct));
      if (random.Chance(0.1)) score = -TestFixture::kInfinity;
      if (random.Chance(0.02)) score = TestFixture::kNan;
    }
    const int64_t top_k = random.Between(1, 60);
    const int64_t tile = random.Between(1, 70);
    const auto expected = TestFixture::Sorted(row, top_k);
    const auto got = TestFixture::Top(row, top_k, tile);
    ASSERT_THAT(got.keys, ElementsAreArray(expected.keys))
        << "round " << round << " n " << row.size() << " tile " << tile;
    ASSERT_THAT(got.scores, ElementsAreArray(expected.scores));
  }
}

}  // namespace
}  // namespace attn
