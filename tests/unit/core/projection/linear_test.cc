#include "core/projection/linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/attention/tile_gemm.h"
#include "core/projection/panel_linear.h"
#include "core/tensor/conversions.h"
#include "core/tensor/int8_rows.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn {
namespace {

// A way to pack: what Linear::Pack chooses, or panels whatever it chooses.
struct Way {
  std::string name;
  WeightFormat format;
  bool is_panels;

  friend void PrintTo(const Way& way, std::ostream* to) { *to << way.name; }
};

std::vector<float> Numbers(int64_t n, uint64_t seed) {
  test::Random random(seed);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = static_cast<float>(random.Gaussian());
  return values;
}

const std::byte* Bytes(const std::vector<float>& values) {
  return reinterpret_cast<const std::byte*>(values.data());
}

LinearSource Source(const std::vector<float>& weights, int64_t in_dim,
                    int64_t out_dim) {
  return {.weights = Bytes(weights),
          .in_dim = in_dim,
          .out_dim = out_dim,
          .out_stride = in_dim};
}

// A row of weights as `format` keeps it.
std::vector<double> Kept(const float* row, int64_t n, WeightFormat format) {
  std::vector<double> kept(row, row + n);
  std::vector<int8_t> codes(static_cast<size_t>(n));
  const float scale = PackRow(row, n, codes.data());
  for (int64_t i = 0; i < n; ++i) {
    double& value = kept[static_cast<size_t>(i)];
    if (format == WeightFormat::kF16) value = F16ToF32(F32ToF16(row[i]));
    if (format == WeightFormat::kBF16) value = BF16ToF32(F32ToBF16(row[i]));
    if (format == WeightFormat::kInt8) {
      value = double{scale} * codes[static_cast<size_t>(i)];
    }
  }
  return kept;
}

class LinearTest : public testing::TestWithParam<Way> {
 protected:
  // As the server: who makes a TileGemm first caps the library's ISA.
  LinearTest() : gemm_(MakeTileGemm(Isa::kAuto)) {}

  static std::unique_ptr<Linear> Pack(const LinearSource& source) {
    const Way& way = GetParam();
    auto linear = way.is_panels ? PanelLinear::Pack(source, way.format)
                                : Linear::Pack(source, way.format);
    EXPECT_TRUE(linear.ok()) << linear.status();
    return *std::move(linear);
  }

  void Multiply(const Linear& linear, int64_t num_rows, InRows in,
                OutRows out) {
    for (int64_t block = 0; block < linear.num_blocks(); ++block) {
      ASSERT_TRUE(
          linear
              .MultiplyBlock(
                  block, num_rows, in,
                  {out.data + block * linear.block_channels(), out.stride},
                  arena_)
              .ok());
    }
  }

  // Dense rows.
  std::vector<float> Multiply(const Linear& linear,
                              const std::vector<float>& in) {
    const int64_t rows = std::ssize(in) / linear.in_dim();
    std::vector<float> out(static_cast<size_t>(rows * linear.out_dim()));
    Multiply(linear, rows, {in.data(), linear.in_dim()},
             {out.data(), linear.out_dim()});
    return out;
  }

  const std::unique_ptr<TileGemm> gemm_;
  ScratchArena arena_;
};

// gamma_n |x| |w| with n = in_dim and two more for scale and bias, whatever the
// order of the sum.
std::string Compare(const std::vector<float>& got, const std::vector<float>& in,
                    const LinearSource& source, WeightFormat format) {
  const double n = static_cast<double>(source.in_dim) + 2;
  const double gamma = n * 0x1p-24 / (1 - n * 0x1p-24);
  const auto* bias = reinterpret_cast<const float*>(source.bias);
  for (int64_t c = 0; c < source.out_dim; ++c) {
    const auto* row = reinterpret_cast<const float*>(source.weights);
    const std::vector<double> kept =
        Kept(row + c * source.out_stride, source.in_dim, format);
    for (int64_t r = 0; r < std::ssize(in) / source.in_dim; ++r) {
      double sum = bias == nullptr ? 0 : bias[c];
      double magnitude = std::fabs(sum);
      for (int64_t k = 0; k < source.in_dim; ++k) {
        const double term =
            double{in[static_cast<size_t>(r * source.in_dim + k)]} *
            kept[static_cast<size_t>(k)];
        sum += term;
        magnitude += std::fabs(term);
      }
      const float found = got[static_cast<size_t>(r * source.out_dim + c)];
      if (!(std::fabs(found - sum) <= gamma * magnitude)) {
        return absl::StrCat(source.in_dim, " to ", source.out_dim, ", row ", r,
                            ", channel ", c, ": ", found, ", expected ", sum,
                            " +- ", gamma * magnitude);
      }
    }
  }
  return "";
}

TEST_P(LinearTest, EverySizeIsRight) {
  for (const int64_t in_dim : {1, 2, 63, 64, 65, 256, 257, 1000}) {
    for (const int64_t out_dim : {1, 15, 63, 64, 65, 256, 320, 1000}) {
      if (test::kIsSanitized && in_dim * out_dim > 70000) continue;
      const auto weights = Numbers(in_dim * out_dim, 1);
      const auto bias = Numbers(out_dim, 2);
      LinearSource source = Source(weights, in_dim, out_dim);
      if (out_dim % 2 == 0) source.bias = Bytes(bias);
      const auto linear = Pack(source);
      ASSERT_EQ(linear->in_dim(), in_dim);
      ASSERT_EQ(linear->out_dim(), out_dim);
      for (const int64_t rows : {1, 5}) {
        const auto in = Numbers(rows * in_dim, 3);
        ASSERT_EQ(Compare(Multiply(*linear, in), in, source, GetParam().format),
                  "");
      }
    }
  }
}

TEST_P(LinearTest, EveryNumberOfRowsIsRight) {
  const int64_t in_dim = 70, out_dim = 300;
  const auto weights = Numbers(in_dim * out_dim, 1);
  const auto bias = Numbers(out_dim, 2);
  LinearSource source = Source(weights, in_dim, out_dim);
  source.bias = Bytes(bias);
  const auto linear = Pack(source);
  for (int64_t rows = 1; rows <= 200; rows += test::Scaled(1, 37)) {
    const auto in = Numbers(rows * in_dim, 3);
    ASSERT_EQ(Compare(Multiply(*linear, in), in, source, GetParam().format),
              "");
  }
}

// Why tokens of any requests may share a product: whatever rows stand before
// and behind a row, wherever it lies, its bits are the same.
TEST_P(LinearTest, BitsOfARowDoNotDependOnTheOthers) {
  for (const int64_t in_dim : {64, 333, 1024}) {
    const int64_t out_dim = 320, most = 200;
    const auto weights = Numbers(in_dim * out_dim, 1);
    const auto linear = Pack(Source(weights, in_dim, out_dim));
    const auto in = Numbers(most * in_dim, 3);
    std::vector<float> alone;
    for (int64_t r = 0; r < most; ++r) {
      const auto out = Multiply(
          *linear, {in.begin() + r * in_dim, in.begin() + (r + 1) * in_dim});
      alone.insert(alone.end(), out.begin(), out.end());
    }
    for (int64_t rows = 1; rows <= most; rows += test::Scaled(1, 61)) {
      const int64_t first = (rows * 37) % (most - rows + 1);
      const auto out = Multiply(
          *linear,
          {in.begin() + first * in_dim, in.begin() + (first + rows) * in_dim});
      ASSERT_EQ(std::memcmp(out.data(), alone.data() + first * out_dim,
                            out.size() * sizeof(float)),
                0)
          << rows << " rows from " << first << " of " << in_dim << " inputs";
    }
  }
}

TEST_P(LinearTest, StridesChangeNoBitAndNothingBesideTheRows) {
  const int64_t in_dim = 100, out_dim = 70, rows = 130;
  const auto weights = Numbers(in_dim * out_dim, 1);
  const auto linear = Pack(Source(weights, in_dim, out_dim));
  const auto in = Numbers(rows * in_dim, 3);
  const auto expected = Multiply(*linear, in);
  for (const int64_t slack : {1, 3, 28}) {
    const int64_t in_stride = in_dim + slack, out_stride = out_dim + 2 * slack;
    // What lies between the rows may be anything.
    std::vector<float> apart(static_cast<size_t>(rows * in_stride + 1),
                             std::numeric_limits<float>::quiet_NaN());
    std::vector<float> out(static_cast<size_t>(rows * out_stride + 1), 7.0f);
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(in.begin() + r * in_dim, in_dim,
                  apart.begin() + 1 + r * in_stride);
    }
    Multiply(*linear, rows, {apart.data() + 1, in_stride},
             {out.data() + 1, out_stride});
    for (int64_t i = 0; i < rows * out_stride; ++i) {
      const int64_t r = i / out_stride, c = i % out_stride;
      const float wanted =
          c < out_dim ? expected[static_cast<size_t>(r * out_dim + c)] : 7.0f;
      ASSERT_EQ(out[static_cast<size_t>(1 + i)], wanted)
          << "row " << r << ", " << c << ", slack " << slack;
    }
    ASSERT_EQ(out[0], 7.0f);
  }
}

// GPT-2's Conv1D keeps inputs as rows, and three projections beside each other.
TEST_P(LinearTest, TransposedWeightsAreTheSame) {
  const int64_t in_dim = 37, out_dim = 300, stride = 2 * out_dim + 5;
  const auto weights = Numbers(in_dim * out_dim, 1);
  std::vector<float> transposed(static_cast<size_t>(in_dim * stride), 1e30f);
  for (int64_t c = 0; c < out_dim; ++c) {
    for (int64_t k = 0; k < in_dim; ++k) {
      transposed[static_cast<size_t>(k * stride + c)] =
          weights[static_cast<size_t>(c * in_dim + k)];
    }
  }
  LinearSource source = Source(transposed, in_dim, out_dim);
  source.out_stride = 1;
  source.in_stride = stride;
  const auto in = Numbers(11 * in_dim, 3);
  EXPECT_EQ(Multiply(*Pack(source), in),
            Multiply(*Pack(Source(weights, in_dim, out_dim)), in));
}

// Files align tensors to nothing.
TEST_P(LinearTest, WeightsOfEveryTypeAreReadWhereverTheyLie) {
  const int64_t in_dim = 40, out_dim = 70;
  const auto weights = Numbers(in_dim * out_dim, 1);
  const auto in = Numbers(3 * in_dim, 3);
  for (const DataType dtype :
       {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
    std::vector<std::byte> stored(weights.size() * 8 + 1);
    ConvertFromF32(weights.data(), std::ssize(weights), dtype,
                   stored.data() + 1);
    std::vector<double> wide(weights.size());
    ConvertToF64(dtype, stored.data() + 1, std::ssize(weights), wide.data());
    const std::vector<float> rounded(wide.begin(), wide.end());
    LinearSource source = Source(weights, in_dim, out_dim);
    source.dtype = source.bias_dtype = dtype;
    source.weights = source.bias = stored.data() + 1;
    LinearSource expected = Source(rounded, in_dim, out_dim);
    expected.bias = expected.weights;
    EXPECT_EQ(Multiply(*Pack(source), in), Multiply(*Pack(expected), in))
        << DataTypeName(dtype);
  }
}

TEST_P(LinearTest, NanOfARowStaysInIt) {
  const int64_t in_dim = 64, out_dim = 64;
  const auto weights = Numbers(in_dim * out_dim, 1);
  const auto linear = Pack(Source(weights, in_dim, out_dim));
  auto in = Numbers(70 * in_dim, 3);
  in[33 * in_dim + 5] = std::numeric_limits<float>::quiet_NaN();
  const auto out = Multiply(*linear, in);
  for (int64_t i = 0; i < std::ssize(out); ++i) {
    ASSERT_EQ(std::isnan(out[static_cast<size_t>(i)]), i / out_dim == 33) << i;
  }
}

TEST_P(LinearTest, TakesTheBytesThatWereTold) {
  for (const int64_t in_dim : {1, 63, 600, 1024}) {
    for (const int64_t out_dim : {1, 65, 512, 1000}) {
      const auto weights = Numbers(in_dim * out_dim, 1);
      EXPECT_EQ(Pack(Source(weights, in_dim, out_dim))->bytes(),
                Linear::PackedBytes(in_dim, out_dim, GetParam().format))
          << in_dim << " to " << out_dim;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ways, LinearTest,
    testing::Values(Way{"F32", WeightFormat::kF32, false},
                    Way{"F32Panels", WeightFormat::kF32, true},
                    Way{"F16", WeightFormat::kF16, false},
                    Way{"BF16", WeightFormat::kBF16, false},
                    Way{"Int8", WeightFormat::kInt8, false}),
    [](const auto& way) { return way.param.name; });

TEST(LinearInt8Test, RefusesWeightsThatAreNotFinite) {
  for (const float bad : {std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    auto weights = Numbers(70 * 8, 1);
    weights[69 * 8 + 3] = bad;
    const LinearSource source = Source(weights, 8, 70);
    EXPECT_EQ(Linear::Pack(source, WeightFormat::kInt8).status().code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(Linear::Pack(source, WeightFormat::kBF16).ok());
  }
}

TEST(LinearF16Test, RefusesWeightsThatWouldBecomeInfinite) {
  auto weights = Numbers(70 * 8, 1);
  const LinearSource source = Source(weights, 8, 70);
  weights[69 * 8 + 3] = -65519;  // Rounds to 65504.
  EXPECT_TRUE(Linear::Pack(source, WeightFormat::kF16).ok());
  weights[69 * 8 + 3] = -65520;
  EXPECT_EQ(Linear::Pack(source, WeightFormat::kF16).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Linear::Pack(source, WeightFormat::kBF16).ok());
}

}  // namespace
}  // namespace attn
