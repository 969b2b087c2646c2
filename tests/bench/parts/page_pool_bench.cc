// Pages taken and given back: of 8 KV heads of 128, 64 tokens, in f32 (512 KiB)
// and packed to int8 (134 KiB).
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/kv_cache/page_pool.h"
#include "core/tensor/kv_format.h"
#include "tests/bench/parts/counters.h"

namespace attn::bench {
namespace {

constexpr KvFormat kFormat{.dtype = DataType::kF32,
                           .num_kv_heads = 8,
                           .head_dim = 128,
                           .value_head_dim = 128,
                           .packs_full_pages = true};

PageRef Take(PagePool& pool, PageForm form) {
  auto page = pool.Allocate(kFormat.BytesOf(form));
  ATTN_CHECK(page.ok());
  return *std::move(page);
}

// In a pool whose slabs are in use, as they are while sessions come and go: an
// empty slab would go back to the system. Pages that were used before are
// zeroed anew, so bytes count.
void PagePoolAllocateAndFree(benchmark::State& state, PageForm form) {
  const int64_t num_pages = state.range(0);
  PagePool pool(int64_t{256} << 20);
  std::vector<PageRef> held, pages;
  for (int64_t i = 0; i < num_pages; ++i) {
    held.push_back(Take(pool, form));
    pages.push_back(Take(pool, form));
  }
  while (state.KeepRunning()) {
    for (PageRef& page : pages) page = PageRef();
    for (PageRef& page : pages) page = Take(pool, form);
  }
  CountItems(state, num_pages);
  CountBytes(state, num_pages * kFormat.BytesOf(form));
}

BENCHMARK_CAPTURE(PagePoolAllocateAndFree, f32, PageForm::kFloat)
    ->ArgName("pages")
    ->Arg(1)
    ->Arg(64);
BENCHMARK_CAPTURE(PagePoolAllocateAndFree, int8, PageForm::kPacked)
    ->ArgName("pages")
    ->Arg(1)
    ->Arg(64);

// What a fork does for each page of a table: one more owner and reference.
void PagePoolShare(benchmark::State& state) {
  PagePool pool(int64_t{256} << 20);
  std::vector<PageRef> pages;
  for (int64_t i = 0; i < state.range(0); ++i) {
    pages.push_back(Take(pool, PageForm::kFloat));
    pages.back().AddOwner();
  }
  while (state.KeepRunning()) {
    const std::vector<PageRef> fork(pages.begin(), pages.end());
    for (const PageRef& page : fork) page.AddOwner();
    for (const PageRef& page : fork) page.DropOwner();
  }
  for (const PageRef& page : pages) page.DropOwner();
  CountItems(state, state.range(0));
}

BENCHMARK(PagePoolShare)->ArgName("pages")->Arg(64);

}  // namespace
}  // namespace attn::bench
