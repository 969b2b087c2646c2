#include "core/engine/kv_ingest.h"

#include <algorithm>

#include "absl/container/fixed_array.h"
#include "core/tensor/conversions.h"

namespace attn {
namespace {

// Rows of one tensor, widened to f32.
class RowReader {
 public:
  RowReader(const KvTensor& tensor, Layout layout, int64_t num_heads,
            int64_t num_tokens, int64_t dim)
      : tensor_(tensor),
        heads_first_(layout != Layout::kBSHD && layout != Layout::kBSE),
        num_heads_(num_heads),
        num_tokens_(num_tokens),
        dim_(dim),
        row_bytes_(dim * ElementBytes(tensor.dtype)),
        raw_(static_cast<size_t>(std::min(num_tokens, kPageTokens) *
                                 row_bytes_)),
        rows_(static_cast<size_t>(std::min(num_tokens, kPageTokens) * dim)) {}

  // [n, dim]: tokens [first, first + n) of a head; n at most kPageTokens.
  float* Read(int64_t head, int64_t first, int64_t n) {
    if (heads_first_) {
      tensor_.read((head * num_tokens_ + first) * row_bytes_, n * row_bytes_,
                   raw_.data());
    } else {
      for (int64_t i = 0; i < n; ++i) {
        tensor_.read(((first + i) * num_heads_ + head) * row_bytes_, row_bytes_,
                     raw_.data() + i * row_bytes_);
      }
    }
    Widen(n * dim_);
    return rows_.data();
  }

 private:
  void Widen(int64_t n) {
    if (tensor_.dtype != DataType::kF64) {
      ConvertToF32(tensor_.dtype, raw_.data(), n, 1.0f, rows_.data());
      return;
    }
    ConvertFromF64(reinterpret_cast<const double*>(raw_.data()), n,
                   DataType::kF32, reinterpret_cast<std::byte*>(rows_.data()));
  }

  const KvTensor& tensor_;
  const bool heads_first_;
  const int64_t num_heads_;
  const int64_t num_tokens_;
  const int64_t dim_;
  const int64_t row_bytes_;
  // On the stack for the few tokens of a decode step.
  absl::FixedArray<std::byte, 4096> raw_;
  absl::FixedArray<float, 1024> rows_;
};

}  // namespace

void WriteTokens(const KvTensors& tensors, const KvFormat& format,
                 KeyTurns* turns, KvAppend& append) {
  const int64_t num_tokens = append.num_tokens();
  RowReader keys(tensors.key, tensors.layout, format.num_kv_heads, num_tokens,
                 format.head_dim);
  RowReader values(tensors.value, tensors.layout, format.num_kv_heads,
                   num_tokens, format.value_head_dim);
  int64_t first = 0;
  while (first < num_tokens) {
    const int64_t token = append.start() + first;
    const int64_t n =
        std::min(num_tokens - first, kPageTokens - token % kPageTokens);
    const RotationView rotation =
        turns == nullptr ? RotationView{} : turns->Run(first, n);
    for (int64_t head = 0; head < format.num_kv_heads; ++head) {
      float* rows = keys.Read(head, first, n);
      for (int64_t i = 0; i < n && rotation.is_on(); ++i) {
        RotateRow(rotation, i, rows + i * format.head_dim);
      }
      append.Write(head, token, n, rows, values.Read(head, first, n));
    }
    first += n;
  }
}

}  // namespace attn
