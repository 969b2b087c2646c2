// In builds whose oneDNN has ukernels; products in general: tile_gemm_test.cc.
#include "core/attention/onednn_ukernel_tile_gemm.h"

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"

namespace attn {
namespace {

// Products of any library, and their shapes. Confined to the calling thread.
class RecordingTileGemm final : public TileGemm {
 public:
  absl::Status Multiply(const GemmShape& shape, const float* a, const float* b,
                        float* c, bool accumulate) const override {
    rows_.push_back(shape.m);
    return portable_->Multiply(shape, a, b, c, accumulate);
  }
  std::string Description() const override { return "recording"; }
  std::string ChosenIsa() const override { return "any"; }

  // Of each product so far.
  const std::vector<int64_t>& rows() const { return rows_; }

 private:
  const std::unique_ptr<TileGemm> portable_ = MakePortableTileGemm();
  mutable std::vector<int64_t> rows_;
};

constexpr int64_t kMost = 300;

class UkernelTileGemmTest : public testing::Test {
 protected:
  UkernelTileGemmTest() : UkernelTileGemmTest(UkernelCache::kMaxShapes) {}

  explicit UkernelTileGemmTest(size_t max_shapes)
      : a_(Numbers(1)), b_(Numbers(2)), c_(Numbers(3)) {
    auto library = std::make_unique<RecordingTileGemm>();
    library_ = library.get();
    gemm_ = std::make_unique<UkernelTileGemm>(std::move(library), max_shapes);
  }

  static std::vector<float> Numbers(uint64_t seed) {
    test::Random random(seed);
    std::vector<float> values(size_t{kMost * kMost});
    for (float& v : values) v = static_cast<float>(random.Gaussian());
    return values;
  }

  static GemmShape Shape(int64_t m, int64_t n, int64_t k) {
    return {.m = m, .n = n, .k = k, .lda = kMost, .ldb = kMost, .ldc = kMost};
  }

  // All of c_'s room, so that a write beside the result shows.
  std::vector<float> Multiply(const GemmShape& shape, bool accumulate) const {
    return MultiplyBy(*gemm_, shape, accumulate);
  }
  std::vector<float> MultiplyBy(const TileGemm& gemm, const GemmShape& shape,
                                bool accumulate) const {
    std::vector<float> c = c_;
    EXPECT_TRUE(
        gemm.Multiply(shape, a_.data(), b_.data(), c.data(), accumulate).ok());
    return c;
  }

  // Every way through blocks and their rest.
  void ExpectCorrect(const GemmShape& shape, bool accumulate) const {
    SCOPED_TRACE(testing::Message() << shape.m << "x" << shape.n << "x"
                                    << shape.k << " " << accumulate);
    EXPECT_THAT(Multiply(shape, accumulate),
                testing::Pointwise(
                    testing::FloatNear(2e-4f),
                    MultiplyBy(*MakePortableTileGemm(), shape, accumulate)));
  }

  const std::vector<float> a_, b_, c_;
  const RecordingTileGemm* library_ = nullptr;
  std::unique_ptr<UkernelTileGemm> gemm_;
};

TEST_F(UkernelTileGemmTest, EveryNumberOfRowsIsRight) {
  for (const int64_t m : {12, 13, 23, 24, 63, 64, 65, 76, 139, 255, 256, 300}) {
    ExpectCorrect(Shape(m, 64, 16), /*accumulate=*/false);
    ExpectCorrect(Shape(m, 64, 16), /*accumulate=*/true);
  }
}

TEST_F(UkernelTileGemmTest, EveryTileOfPrefillIsRight) {
  for (const auto& [n, k] : std::vector<std::pair<int64_t, int64_t>>{
           {256, 128}, {128, 256}, {256, 64}, {64, 256}, {192, 80}}) {
    ExpectCorrect(Shape(256, n, k), /*accumulate=*/false);
    ExpectCorrect(Shape(195, n, k), /*accumulate=*/true);
  }
}

TEST_F(UkernelTileGemmTest, WholeTilesDoNotGoToTheLibrary) {
  Multiply(Shape(256, 128, 64), true);
  Multiply(Shape(195, 64, 16), false);
  EXPECT_THAT(library_->rows(), testing::IsEmpty());
}

TEST_F(UkernelTileGemmTest, EndsOfSequencesGoToTheLibraryAndMakeNoKernels) {
  Multiply(Shape(256, 9, 64), false);
  Multiply(Shape(256, 80, 64), false);
  Multiply(Shape(256, 64, 9), true);
  Multiply(Shape(11, 64, 64), true);
  EXPECT_THAT(library_->rows(), testing::ElementsAre(256, 256, 256, 11));
  EXPECT_EQ(gemm_->num_shapes(), 0U);
}

TEST_F(UkernelTileGemmTest, RowsShareKernels) {
  for (int64_t m = 12; m <= 300; ++m) Multiply(Shape(m, 64, 16), false);
  EXPECT_EQ(gemm_->num_shapes(), 3U);
}

TEST_F(UkernelTileGemmTest, StridesAndAccumulateAreOfTheKernel) {
  GemmShape shape = Shape(64, 64, 16);
  Multiply(shape, false);
  Multiply(shape, true);
  shape.lda = 32;
  ExpectCorrect(shape, true);
  shape.ldb = 80;
  ExpectCorrect(shape, true);
  shape.ldc = 128;
  ExpectCorrect(shape, true);
  EXPECT_EQ(gemm_->num_shapes(), 5U);
}

TEST_F(UkernelTileGemmTest, SaysWhatItIs) {
  EXPECT_EQ(gemm_->Description(), "recording ukernel");
  EXPECT_EQ(gemm_->ChosenIsa(), "any");
}

// What the image is for: the library of this build has ukernels.
TEST_F(UkernelTileGemmTest, MakeTileGemmTakesUkernelsWithAvx512) {
  const bool has_avx512 = __builtin_cpu_supports("avx512bw") != 0;
  const std::string description = MakeTileGemm(Isa::kAuto)->Description();
  EXPECT_EQ(description.ends_with(" ukernel"), has_avx512) << description;
}

class FullCacheTest : public UkernelTileGemmTest {
 protected:
  FullCacheTest() : UkernelTileGemmTest(/*max_shapes=*/2) {}
};

TEST_F(FullCacheTest, KeepsItsBound) {
  for (int64_t k = 16; k <= 160; k += 16) Multiply(Shape(64, 64, k), false);
  EXPECT_LE(gemm_->num_shapes(), 2U);
}

TEST_F(FullCacheTest, GivesTheBitsOfAnEmptyOneAndAsksNoLibrary) {
  const GemmShape shape = Shape(195, 128, 64);
  const std::vector<float> expected = Multiply(shape, true);
  for (int64_t k = 16; k <= 160; k += 16) Multiply(Shape(64, 64, k), false);
  EXPECT_EQ(Multiply(shape, true), expected);
  EXPECT_THAT(library_->rows(), testing::IsEmpty());
}

// Kernels stay while somebody multiplies by them, whoever empties the cache.
TEST_F(FullCacheTest, ThreadsThatEvictEachOtherGetTheirBits) {
  const auto expected_of = [&](int64_t k) {
    return Multiply(Shape(64, 64, k), false);
  };
  const std::vector<std::vector<float>> expected = {
      expected_of(16), expected_of(32), expected_of(48)};
  std::vector<int> wrong(2);
  std::vector<std::thread> threads;
  for (int& count : wrong) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < 60; ++i) {
        const size_t at = i % expected.size();
        const auto k = static_cast<int64_t>(16 * (at + 1));
        count +=
            static_cast<int>(Multiply(Shape(64, 64, k), false) != expected[at]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

// No caller asks for rows of C that overlap; it is what the library refuses on
// any CPU.
TEST_F(UkernelTileGemmTest, WhatTheLibraryRefusesGoesAnotherWay) {
  GemmShape refused = Shape(195, 64, 64);
  refused.ldc = 8;
  EXPECT_TRUE(absl::IsUnimplemented(Ukernel::Create(refused, true).status()));
  Multiply(refused, true);
  Multiply(refused, true);
  EXPECT_THAT(library_->rows(), testing::ElementsAre(195, 195));
  EXPECT_EQ(gemm_->num_shapes(), 2U);
}

}  // namespace
}  // namespace attn
