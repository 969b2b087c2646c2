#include "core/attention/tile_gemm.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn {
namespace {

// Operands of one product, with slack in every leading dimension.
struct Operands {
  explicit Operands(const GemmShape& gemm_shape)
      : shape(gemm_shape),
        a(Random(shape.m * shape.lda, 1)),
        b(Random(shape.k * shape.ldb, 2)),
        c(Random(shape.m * shape.ldc, 3)) {}

  static std::vector<float> Random(int64_t n, uint64_t seed) {
    test::Random random(seed);
    std::vector<float> values(static_cast<size_t>(n));
    for (float& v : values) v = static_cast<float>(random.Gaussian());
    return values;
  }

  std::vector<float> Multiply(const TileGemm& gemm, bool accumulate) const {
    std::vector<float> result = c;
    EXPECT_TRUE(
        gemm.Multiply(shape, a.data(), b.data(), result.data(), accumulate)
            .ok());
    return result;
  }

  GemmShape shape;
  std::vector<float> a, b, c;
};

GemmShape Shape(int64_t m, int64_t n, int64_t k, int64_t slack) {
  return {.m = m,
          .n = n,
          .k = k,
          .lda = k + slack,
          .ldb = n + slack,
          .ldc = n + slack};
}

// Element (i, j) in double, and the sum of magnitudes that bounds its error.
struct Exact {
  double value = 0;
  double magnitude = 0;
};

Exact ExactElement(const Operands& o, int64_t i, int64_t j, bool accumulate) {
  Exact exact;
  const auto add = [&](double term) {
    exact.value += term;
    exact.magnitude += std::fabs(term);
  };
  const auto at = [](const std::vector<float>& values, int64_t index) {
    return static_cast<double>(values[static_cast<size_t>(index)]);
  };
  if (accumulate) add(at(o.c, i * o.shape.ldc + j));
  for (int64_t l = 0; l < o.shape.k; ++l) {
    add(at(o.a, i * o.shape.lda + l) * at(o.b, l * o.shape.ldb + j));
  }
  return exact;
}

void ExpectCorrect(const TileGemm& gemm, const GemmShape& shape,
                   bool accumulate) {
  const Operands o(shape);
  const std::vector<float> result = o.Multiply(gemm, accumulate);
  for (int64_t i = 0; i < shape.m; ++i) {
    for (int64_t j = 0; j < shape.ldc; ++j) {
      const auto at = static_cast<size_t>(i * shape.ldc + j);
      if (j >= shape.n) {
        ASSERT_EQ(result[at], o.c[at]) << "beyond the row";
        continue;
      }
      const Exact exact = ExactElement(o, i, j, accumulate);
      const double bound =
          0x1p-24 * exact.magnitude * (2 + std::sqrt(double(shape.k)));
      ASSERT_NEAR(result[at], exact.value, bound)
          << shape.m << "x" << shape.n << "x" << shape.k << " at " << i << ","
          << j;
    }
  }
}

enum class Kind { kPortable, kDefault };

class TileGemmTest : public testing::TestWithParam<Kind> {
 protected:
  TileGemmTest()
      : gemm_(GetParam() == Kind::kPortable ? MakePortableTileGemm()
                                            : MakeTileGemm(Isa::kAuto)) {
    gemm_->ConfineToCallingThread();
  }
  const std::unique_ptr<TileGemm> gemm_;
};

// NOLINTNEXTLINE(readability-function-size): the grid is its nesting.
TEST_P(TileGemmTest, EqualsTheProductInDouble) {
  for (const int64_t m : {1, 2, 15, 33}) {
    for (const int64_t n : {1, 3, 16, 65}) {
      for (const int64_t k : {1, 7, 64, 129}) {
        for (const int64_t slack : {0, 5}) {
          ExpectCorrect(*gemm_, Shape(m, n, k, slack), false);
          ExpectCorrect(*gemm_, Shape(m, n, k, slack), true);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(TileGemmTest, FullTilesAreCorrect) {
  const int64_t size = test::Scaled(256, 64);
  ExpectCorrect(*gemm_, Shape(size, size, 64, 0), false);
  ExpectCorrect(*gemm_, Shape(size, 64, size, 0), true);
}

TEST_P(TileGemmTest, WithoutAccumulateTheOldContentIsIgnored) {
  Operands o(Shape(4, 5, 6, 0));
  const std::vector<float> expected = o.Multiply(*gemm_, false);
  std::fill(o.c.begin(), o.c.end(), NAN);
  EXPECT_EQ(o.Multiply(*gemm_, false), expected);
}

TEST_P(TileGemmTest, RepetitionGivesTheSameBits) {
  for (const GemmShape& shape :
       {Shape(100, 256, 64, 0), Shape(37, 65, 33, 1)}) {
    const Operands o(shape);
    const std::vector<float> first = o.Multiply(*gemm_, true);
    for (int i = 0; i < 5; ++i) ASSERT_EQ(o.Multiply(*gemm_, true), first);
  }
}

TEST_P(TileGemmTest, TwoThreadsGiveTheSameBits) {
  const Operands o(Shape(100, 200, 64, 0));
  const std::vector<float> expected = o.Multiply(*gemm_, false);
  bool are_same[] = {true, true};
  std::vector<std::thread> threads;
  for (bool& is_same : are_same) {
    threads.emplace_back([&] {
      gemm_->ConfineToCallingThread();
      for (int64_t i = 0; i < test::Scaled(50, 5); ++i) {
        is_same = is_same && o.Multiply(*gemm_, false) == expected;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(are_same[0]);
  EXPECT_TRUE(are_same[1]);
}

TEST_P(TileGemmTest, SaysWhatItIs) {
  EXPECT_NE(gemm_->Description(), "");
  EXPECT_NE(gemm_->ChosenIsa(), "");
}

INSTANTIATE_TEST_SUITE_P(Libraries, TileGemmTest,
                         testing::Values(Kind::kPortable, Kind::kDefault));

}  // namespace
}  // namespace attn
