#include "core/engine/head_norm.h"

#include <cmath>

namespace attn {
namespace {

void NormalizeHead(const HeadNorm& norm, float* head) {
  const size_t dim = norm.weight.size();
  double squares = 0;
  for (size_t i = 0; i < dim; ++i) squares += double{head[i]} * head[i];
  const double factor =
      1 / std::sqrt(squares / static_cast<double>(dim) + norm.epsilon);
  for (size_t i = 0; i < dim; ++i) {
    head[i] = static_cast<float>(head[i] * factor * norm.weight[i]);
  }
}

}  // namespace

void NormalizeHeads(const HeadNorm& norm, int64_t num_rows, int64_t num_heads,
                    float* rows) {
  const auto dim = static_cast<int64_t>(norm.weight.size());
  for (int64_t i = 0; i < num_rows * num_heads; ++i) {
    NormalizeHead(norm, rows + i * dim);
  }
}

}  // namespace attn
