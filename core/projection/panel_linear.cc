#include "core/projection/panel_linear.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/projection/row_tiles.h"
#include "core/projection/weight_rows.h"
#include "core/tensor/conversions.h"
#include "core/tensor/int8_rows.h"

namespace attn {
namespace {

// From so many rows on, codes are widened once for all of them, some inputs at
// a time: 64 KiB, which stay in L2. The bits are the same; 64 rows reach 233
// instead of 190 GFLOP/s (f16 and bf16 reach 230 without, 16 rows win nothing).
constexpr int64_t kWideningRows = 32;
constexpr int64_t kWideInputs = 256;

DataType DtypeOf(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF16:
      return DataType::kF16;
    case WeightFormat::kBF16:
      return DataType::kBF16;
    default:
      return DataType::kF32;
  }
}

StoredMatrix::Form FormOf(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF16:
      return StoredMatrix::Form::kF16;
    case WeightFormat::kBF16:
      return StoredMatrix::Form::kBF16;
    case WeightFormat::kInt8:
      return StoredMatrix::Form::kInt8;
    default:
      return StoredMatrix::Form::kF32;
  }
}

// From here on a float is infinity as f16.
constexpr float kBeyondF16 = 65520;

// Channels [64, in_dim] to a panel [in_dim, 64] of floats. INVALID_ARGUMENT for
// weights that would become infinite.
absl::Status PackFloats(const std::vector<float>& channels, int64_t in_dim,
                        WeightFormat format, std::byte* panel) {
  const auto is_lost = [](float weight) {
    return std::isfinite(weight) && std::abs(weight) >= kBeyondF16;
  };
  if (format == WeightFormat::kF16 &&
      std::any_of(channels.begin(), channels.end(), is_lost)) {
    return absl::InvalidArgumentError(
        "weights must be within 65504 to be kept as f16");
  }
  const DataType dtype = DtypeOf(format);
  float inputs[kPanelChannels];
  for (int64_t k = 0; k < in_dim; ++k) {
    for (int64_t c = 0; c < kPanelChannels; ++c) {
      inputs[c] = channels[static_cast<size_t>(c * in_dim + k)];
    }
    ConvertFromF32(inputs, kPanelChannels, dtype,
                   panel + k * kPanelChannels * ElementBytes(dtype));
  }
  return absl::OkStatus();
}

// The same to codes. INVALID_ARGUMENT for weights that are not finite, which
// codes have no room for.
absl::Status PackCodes(const std::vector<float>& channels, int64_t in_dim,
                       float* scales, std::byte* panel) {
  std::vector<int8_t> codes(static_cast<size_t>(in_dim));
  for (int64_t c = 0; c < kPanelChannels; ++c) {
    scales[c] = PackRow(channels.data() + c * in_dim, in_dim, codes.data());
    if (std::signbit(scales[c])) {
      return absl::InvalidArgumentError(
          "weights must be finite to be kept as int8");
    }
    for (int64_t k = 0; k < in_dim; ++k) {
      panel[k * kPanelChannels + c] =
          static_cast<std::byte>(codes[static_cast<size_t>(k)]);
    }
  }
  return absl::OkStatus();
}

// to: n codes as f32.
void WidenCodes(const std::byte* from, int64_t n, float* to) {
  const float one = 1;
  const Int8Rows codes{reinterpret_cast<const int8_t*>(from), &one, n};
  WidenRows(codes, {.num_rows = 1, .first = 0, .n = n}, to, n);
}

}  // namespace

PanelLinear::PanelLinear(const LinearSource& source, WeightFormat format,
                         AlignedBuffer weights)
    : in_dim_(source.in_dim),
      out_dim_(source.out_dim),
      format_(format),
      weights_(std::move(weights)),
      bias_(static_cast<size_t>(out_dim_)),
      scales_(format == WeightFormat::kInt8 ? num_panels() * kPanelChannels
                                            : 0),
      ones_(format == WeightFormat::kInt8 ? in_dim_ : 0, 1.0f) {}

absl::StatusOr<std::unique_ptr<Linear>> PanelLinear::Pack(
    const LinearSource& source, WeightFormat format) {
  ATTN_ASSIGN_OR_RETURN(AlignedBuffer weights,
                        AlignedBuffer::Allocate(WeightBufferBytes(
                            source.in_dim, source.out_dim, format)));
  std::unique_ptr<PanelLinear> linear(
      new PanelLinear(source, format, std::move(weights)));
  ATTN_RETURN_IF_ERROR(linear->Fill(source));
  return linear;
}

int64_t PanelLinear::bytes() const {
  const size_t floats = bias_.size() + scales_.size() + ones_.size();
  return weights_.size_bytes() + static_cast<int64_t>(floats * sizeof(float));
}

absl::Status PanelLinear::Fill(const LinearSource& source) {
  ReadBias(source, bias_.data());
  std::vector<float> channels(static_cast<size_t>(kPanelChannels * in_dim_));
  for (int64_t p = 0; p < num_panels(); ++p) {
    const int64_t first = p * kPanelChannels;
    const int64_t count = std::min(kPanelChannels, out_dim_ - first);
    // Channels beyond the last are zeros.
    std::fill(channels.begin() + count * in_dim_, channels.end(), 0.0f);
    ReadWeightRows(source, first, count, channels.data());
    ATTN_RETURN_IF_ERROR(
        format_ == WeightFormat::kInt8
            ? PackCodes(channels, in_dim_, scales_.data() + first, Panel(p))
            : PackFloats(channels, in_dim_, format_, Panel(p)));
  }
  return absl::OkStatus();
}

absl::Status PanelLinear::MultiplyPanel(int64_t panel, int64_t rows, InRows in,
                                        Scratch scratch) const {
  GemmShape shape{.m = rows,
                  .n = kPanelChannels,
                  .k = in_dim_,
                  .lda = in.stride,
                  .ldb = kPanelChannels,
                  .ldc = kPanelChannels};
  if (format_ != WeightFormat::kInt8 || rows < kWideningRows) {
    const StoredMatrix weights{
        .form = FormOf(format_),
        .data = Panel(panel),
        .row_scales = ones_.data(),
        .next = Panel(std::min(panel + 1, num_panels() - 1))};
    return gemm_.MultiplyStored(shape, in.data, weights, scratch.sums,
                                /*accumulate=*/false);
  }
  for (int64_t k = 0; k < in_dim_; k += kWideInputs) {
    shape.k = std::min(kWideInputs, in_dim_ - k);
    WidenCodes(Panel(panel) + k * kPanelChannels, shape.k * kPanelChannels,
               scratch.wide);
    ATTN_RETURN_IF_ERROR(gemm_.Multiply(shape, in.data + k, scratch.wide,
                                        scratch.sums, /*accumulate=*/k > 0));
  }
  return absl::OkStatus();
}

absl::Status PanelLinear::MultiplyTile(ChannelRange channels, int64_t rows,
                                       InRows in, OutRows out,
                                       Scratch scratch) const {
  for (int64_t c = channels.first; c < channels.last; c += kPanelChannels) {
    ATTN_RETURN_IF_ERROR(MultiplyPanel(c / kPanelChannels, rows, in, scratch));
    FinishTile({.sums = scratch.sums,
                .stride = kPanelChannels,
                .rows = rows,
                .channels = std::min(kPanelChannels, channels.last - c)},
               scales_.empty() ? nullptr : scales_.data() + c, bias_.data() + c,
               {out.data + c - channels.first, out.stride});
  }
  return absl::OkStatus();
}

absl::Status PanelLinear::MultiplyBlock(int64_t block, int64_t num_rows,
                                        InRows in, OutRows out,
                                        ScratchArena& arena) const {
  constexpr int64_t kSums = kTileRows * kPanelChannels;
  constexpr int64_t kWide = kWideInputs * kPanelChannels;
  ATTN_RETURN_IF_ERROR(arena.Reset(ScratchArena::BytesFor<float>(kSums) +
                                   ScratchArena::BytesFor<float>(kWide)));
  const Scratch scratch{.sums = arena.Take<float>(kSums),
                        .wide = arena.Take<float>(kWide)};
  const int64_t first = block * block_channels();
  const ChannelRange channels{first,
                              std::min(out_dim_, first + block_channels())};
  return ForRowTiles(num_rows, [&](int64_t row, int64_t rows) {
    return MultiplyTile(channels, rows, {in.data + row * in.stride, in.stride},
                        {out.data + row * out.stride, out.stride}, scratch);
  });
}

}  // namespace attn
