// A Linear of panels that SmallTileGemm multiplies: every format, every build.
// An element is one chain of multiply-adds in the order of the inputs, so that
// its bits depend on its row and its channel alone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "core/attention/small_tile_gemm.h"
#include "core/memory/aligned_buffer.h"
#include "core/projection/linear.h"
#include "core/projection/packed_sizes.h"

namespace attn {

// Thread-safe: constant once made.
class PanelLinear final : public Linear {
 public:
  // As Linear::Pack.
  static absl::StatusOr<std::unique_ptr<Linear>> Pack(
      const LinearSource& source, WeightFormat format);

  int64_t in_dim() const override { return in_dim_; }
  int64_t out_dim() const override { return out_dim_; }
  int64_t bytes() const override;
  int64_t block_channels() const override { return BlockChannels(out_dim_); }

  absl::Status MultiplyBlock(int64_t block, int64_t num_rows, InRows in,
                             OutRows out, ScratchArena& arena) const override;

 private:
  PanelLinear(const LinearSource& source, WeightFormat format,
              AlignedBuffer weights);

  absl::Status Fill(const LinearSource& source);
  struct ChannelRange {
    int64_t first;
    int64_t last;
  };
  struct Scratch {
    float* sums;  // [kTileRows, 64]
    float* wide;  // Codes, widened.
  };
  absl::Status MultiplyTile(ChannelRange channels, int64_t rows, InRows in,
                            OutRows out, Scratch scratch) const;
  // The sums of a panel's channels.
  absl::Status MultiplyPanel(int64_t panel, int64_t rows, InRows in,
                             Scratch scratch) const;

  std::byte* Panel(int64_t panel) const {
    return weights_.data() + panel * panel_bytes();
  }
  int64_t panel_bytes() const {
    return in_dim_ * kPanelChannels * WeightBytes(format_);
  }
  int64_t num_panels() const { return DivideUp(out_dim_, kPanelChannels); }

  const int64_t in_dim_;
  const int64_t out_dim_;
  const WeightFormat format_;
  const AlignedBuffer weights_;
  std::vector<float> bias_;
  std::vector<float> scales_;  // Of int8; with those of the last panel's rest.
  const std::vector<float> ones_;  // Of int8: the product's scales of inputs.
  const SmallTileGemm gemm_;
};

}  // namespace attn
