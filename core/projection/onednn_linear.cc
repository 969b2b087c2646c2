#include "core/projection/onednn_linear.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/memory/aligned_buffer.h"
#include "core/projection/packed_sizes.h"
#include "core/projection/row_tiles.h"
#include "core/projection/weight_rows.h"
#include "dnnl.hpp"

// From libgomp (core/attention/onednn_tile_gemm.cc); per calling thread.
extern "C" void omp_set_num_threads(int num_threads);
extern "C" int omp_get_max_threads(void);

namespace attn {
namespace {

using Desc = dnnl::memory::desc;
using dnnl::matmul;

// Primitives are made for as many threads as their maker has, and run by
// workers, which have one.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const int before_;
};

Desc Matrix(int64_t rows, int64_t columns, const dnnl::memory::dims& strides) {
  return {{rows, columns}, dnnl::memory::data_type::f32, strides};
}

struct BlockShape {
  int64_t in_dim = 0;
  int64_t channels = 0;
};

matmul::primitive_desc Describe(const dnnl::engine& engine, int64_t rows,
                                BlockShape shape, const Desc& weights) {
  const Desc in = Matrix(rows, shape.in_dim, {shape.in_dim, 1});
  const Desc out = Matrix(rows, shape.channels, {shape.channels, 1});
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
#if DNNL_VERSION_MAJOR >= 3
  return {engine, in, weights, out, attributes};
#else
  return {matmul::desc(in, weights, out), attributes, engine};
#endif
}

bool KeepsBits(const matmul::primitive_desc& desc) {
  return std::string_view(desc.impl_info_str()).substr(0, 3) == "brg";
}

// A block's products of 1 to kTileRows rows. 64 primitives of a new shape take
// 4 ms and 4 MiB, those of a known one 0.2 ms: the library shares them.
class BlockProducts {
 public:
  // Nothing if the library has no code that keeps bits.
  static std::optional<BlockProducts> Make(const dnnl::engine& engine,
                                           BlockShape shape) {
    const Desc any({shape.in_dim, shape.channels}, dnnl::memory::data_type::f32,
                   dnnl::memory::format_tag::any);
    BlockProducts products(shape);
    products.weights_ = Describe(engine, kTileRows, shape, any).weights_desc();
    for (int64_t rows = 1; rows <= kTileRows; ++rows) {
      const auto desc = Describe(engine, rows, shape, products.weights_);
      if (!KeepsBits(desc)) return std::nullopt;
      products.scratch_bytes_ =
          std::max(products.scratch_bytes_,
                   static_cast<int64_t>(desc.scratchpad_desc().get_size()));
      products.all_.push_back({matmul(desc), desc.src_desc(), desc.dst_desc(),
                               desc.scratchpad_desc()});
    }
    return products;
  }

  const Desc& weights() const { return weights_; }
  int64_t weight_bytes() const {
    return static_cast<int64_t>(weights_.get_size());
  }
  int64_t channels() const { return shape_.channels; }
  int64_t scratch_bytes() const { return scratch_bytes_; }

  // in: [rows, in_dim], out: [rows, channels].
  void Multiply(const dnnl::engine& engine, int64_t rows, const float* in,
                const std::byte* weights, float* out,
                std::byte* scratch) const {
    const Product& product = all_[static_cast<size_t>(rows - 1)];
    dnnl::stream stream(engine);
    const auto memory = [&](const Desc& desc, const void* data) {
      return dnnl::memory(desc, engine, const_cast<void*>(data));
    };
    product.primitive.execute(
        stream, {{DNNL_ARG_SRC, memory(product.in, in)},
                 {DNNL_ARG_WEIGHTS, memory(weights_, weights)},
                 {DNNL_ARG_DST, memory(product.out, out)},
                 {DNNL_ARG_SCRATCHPAD, memory(product.scratch, scratch)}});
    stream.wait();
  }

 private:
  struct Product {
    matmul primitive;
    Desc in, out, scratch;
  };

  explicit BlockProducts(BlockShape shape) : shape_(shape) {}

  BlockShape shape_;
  Desc weights_;
  int64_t scratch_bytes_ = 0;
  std::vector<Product> all_;  // By rows - 1.
};

// Thread-safe: constant once made.
class OnednnLinear final : public Linear {
 public:
  OnednnLinear(const LinearSource& source, AlignedBuffer weights,
               dnnl::engine engine, BlockProducts whole, BlockProducts last)
      : in_dim_(source.in_dim),
        out_dim_(source.out_dim),
        weights_(std::move(weights)),
        bias_(static_cast<size_t>(out_dim_)),
        engine_(std::move(engine)),
        whole_(std::move(whole)),
        last_(std::move(last)) {}

  int64_t in_dim() const override { return in_dim_; }
  int64_t out_dim() const override { return out_dim_; }
  int64_t bytes() const override {
    return weights_.size_bytes() +
           static_cast<int64_t>(bias_.size() * sizeof(float));
  }
  int64_t block_channels() const override { return BlockChannels(out_dim_); }

  // Whether the library's weights take no more room than they have.
  bool HasRoom() const {
    return (num_blocks() - 1) * whole_.weight_bytes() + last_.weight_bytes() <=
           weights_.size_bytes();
  }

  // REQUIRES: HasRoom.
  void Fill(const LinearSource& source) {
    ReadBias(source, bias_.data());
    std::vector<float> channels(
        static_cast<size_t>(block_channels() * in_dim_));
    dnnl::stream stream(engine_);
    for (int64_t block = 0; block < num_blocks(); ++block) {
      const BlockProducts& products = ProductsOf(block);
      ReadWeightRows(source, block * block_channels(), products.channels(),
                     channels.data());
      dnnl::memory from(Matrix(in_dim_, products.channels(), {1, in_dim_}),
                        engine_, channels.data());
      dnnl::memory to(products.weights(), engine_, Weights(block));
      dnnl::reorder(from, to).execute(stream, from, to);
      stream.wait();
    }
  }

  absl::Status MultiplyBlock(int64_t block, int64_t num_rows, InRows in,
                             OutRows out, ScratchArena& arena) const override {
    const BlockProducts& products = ProductsOf(block);
    const int64_t channels = products.channels();
    const bool is_dense = in.stride == in_dim_ || num_rows == 1;
    const int64_t num_sums = kTileRows * channels;
    const int64_t num_inputs = is_dense ? 0 : kTileRows * in_dim_;
    ATTN_RETURN_IF_ERROR(arena.Reset(
        ScratchArena::BytesFor<float>(num_sums) +
        ScratchArena::BytesFor<float>(num_inputs) +
        ScratchArena::BytesFor<std::byte>(products.scratch_bytes())));
    auto* sums = arena.Take<float>(num_sums);
    auto* inputs = arena.Take<float>(num_inputs);
    auto* scratch = arena.Take<std::byte>(products.scratch_bytes());
    const int64_t first = block * block_channels();
    return ForRowTiles(num_rows, [&](int64_t row, int64_t rows) {
      const InRows tile{in.data + row * in.stride, in.stride};
      ATTN_RETURN_IF_ERROR(
          Multiply(block, rows, is_dense ? tile.data : Copy(tile, rows, inputs),
                   sums, scratch));
      FinishTile({.sums = sums,
                  .stride = channels,
                  .rows = rows,
                  .channels = channels},
                 nullptr, bias_.data() + first,
                 {out.data + row * out.stride, out.stride});
      return absl::OkStatus();
    });
  }

 private:
  const BlockProducts& ProductsOf(int64_t block) const {
    return block + 1 < num_blocks() ? whole_ : last_;
  }
  std::byte* Weights(int64_t block) const {
    return weights_.data() + block * whole_.weight_bytes();
  }

  // Rows behind each other.
  const float* Copy(InRows in, int64_t rows, float* to) const {
    for (int64_t r = 0; r < rows; ++r) {
      std::memcpy(to + r * in_dim_, in.data + r * in.stride,
                  static_cast<size_t>(in_dim_) * sizeof(float));
    }
    return to;
  }

  absl::Status Multiply(int64_t block, int64_t rows, const float* in,
                        float* sums, std::byte* scratch) const {
    try {
      ProductsOf(block).Multiply(engine_, rows, in, Weights(block), sums,
                                 scratch);
    } catch (const dnnl::error&) {
      return absl::InternalError("the matrix library failed");
    }
    return absl::OkStatus();
  }

  const int64_t in_dim_;
  const int64_t out_dim_;
  const AlignedBuffer weights_;
  std::vector<float> bias_;
  const dnnl::engine engine_;
  const BlockProducts whole_;
  const BlockProducts last_;
};

absl::StatusOr<std::unique_ptr<Linear>> Pack(const LinearSource& source) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const int64_t channels = BlockChannels(source.out_dim);
  const int64_t num_blocks = DivideUp(source.out_dim, channels);
  auto last = BlockProducts::Make(
      engine, {source.in_dim, source.out_dim - (num_blocks - 1) * channels});
  if (!last.has_value()) return nullptr;
  auto whole = num_blocks == 1
                   ? last
                   : BlockProducts::Make(engine, {source.in_dim, channels});
  if (!whole.has_value()) return nullptr;
  ATTN_ASSIGN_OR_RETURN(
      AlignedBuffer weights,
      AlignedBuffer::Allocate(WeightBufferBytes(source.in_dim, source.out_dim,
                                                WeightFormat::kF32)));
  auto linear = std::make_unique<OnednnLinear>(
      source, std::move(weights), engine, *std::move(whole), *std::move(last));
  if (!linear->HasRoom()) return nullptr;
  linear->Fill(source);
  return linear;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Linear>> PackOnednnLinear(
    const LinearSource& source) {
  const OneThread one_thread;
  try {
    return Pack(source);
  } catch (const dnnl::error&) {
    return absl::InternalError("the matrix library failed");
  }
}

}  // namespace attn
