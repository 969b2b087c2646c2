#include "tests/support/paged_case.h"

#include <algorithm>

#include "core/attention/problem.h"
#include "tests/support/kernel_runner.h"

namespace attn::test {

PagedCase::PagedCase(const AttentionCase& c) {
  const Geometry& g = c.plan.geometry;
  format_ = {.dtype = c.plan.dtype,
             .num_kv_heads = g.num_kv_heads,
             .head_dim = g.head_dim,
             .value_head_dim = g.value_head_dim};
  const int64_t element = ElementBytes(format_.dtype);
  const int64_t num_pages = (g.kv_len + kPageTokens - 1) / kPageTokens;
  memory_.assign(
      static_cast<size_t>(num_pages),
      std::vector<std::byte>(static_cast<size_t>(format_.page_bytes())));
  for (int64_t head = 0; head < g.num_kv_heads; ++head) {
    const Problem problem = MakeProblem(c.plan, c.Inputs(), 0, head);
    for (int64_t j = 0; j < g.kv_len; ++j) {
      std::byte* page = memory_[static_cast<size_t>(j / kPageTokens)].data();
      const int64_t place = j % kPageTokens;
      const std::byte* key = problem.key.Row(0, j);
      std::byte* keys = page + format_.KeyOffset(head);
      for (int64_t d = 0; d < g.head_dim; ++d) {
        std::copy_n(key + d * element, element,
                    keys + (d * kPageTokens + place) * element);
      }
      std::copy_n(problem.value.Row(0, j), g.value_head_dim * element,
                  page + format_.ValueOffset(head) +
                      place * g.value_head_dim * element);
    }
  }
  for (const auto& page : memory_) pages_.push_back(page.data());
}

AttentionOutputs RunPaged(const AttentionCase& c, const TileGemm& gemm,
                          KernelKind kind) {
  const PagedCase paged(c);
  return RunKernel(c, gemm, kind, paged.View());
}

}  // namespace attn::test
