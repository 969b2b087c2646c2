// What forks and appends cost, printed. The bounds are generous: they catch
// another order of growth, not a slow machine.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "core/kv_cache/session.h"
#include "gtest/gtest.h"
#include "tests/support/everybody.h"
#include "tests/support/sizes.h"

namespace attn {
namespace {

template <typename Work>
double Milliseconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const auto end = std::chrono::steady_clock::now();
  return std::chrono::duration<double, std::milli>(end - start).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

KvSpec SpecOf(int64_t num_layers, KvDtype dtype) {
  return *ResolveSpec({.num_layers = num_layers,
                       .num_kv_heads = 8,
                       .head_dim = 128,
                       .kv_dtype = dtype},
                      {});
}

// Tokens that are never written: their pages take address space alone.
void AppendUnwritten(Session& session, int64_t layer, int64_t n) {
  auto append = session.Lock(layer)->BeginAppend({.num_tokens = n}, {});
  ASSERT_TRUE(append.ok()) << append.status();
  append->Commit();
}

TEST(KvCostTest, ForkOf32kTokensIn32Layers) {
  const int64_t num_layers = test::Scaled(32, 2);
  PagePool pool(int64_t{8} << 30);
  const KvSpec spec = SpecOf(num_layers, KvDtype::kBF16);
  Session source({test::Everybody(), "source"}, spec, pool, {});
  for (int64_t i = 0; i < num_layers; ++i) AppendUnwritten(source, i, 32768);
  std::vector<double> fork_ms, free_ms;
  for (int i = 0; i < 9; ++i) {
    auto fork = std::make_unique<Session>(
        Session::Name{test::Everybody(), "fork"}, spec, pool, TimePoint());
    fork_ms.push_back(Milliseconds(
        [&] { ASSERT_TRUE(fork->ForkFrom(source, std::nullopt).ok()); }));
    free_ms.push_back(Milliseconds([&] { fork.reset(); }));
  }
  std::printf("fork of 32k tokens x %d layers: %.3f ms; freeing it %.3f ms\n",
              static_cast<int>(num_layers), Median(fork_ms), Median(free_ms));
  EXPECT_LT(Median(fork_ms), 50);
}

// As an engine does it: heads one after the other, runs of up to a page.
void WriteRows(KvAppend& append, int64_t head_dim, const float* rows) {
  for (int64_t head = 0; head < 8; ++head) {
    for (int64_t i = 0; i < append.num_tokens();) {
      const int64_t token = append.start() + i;
      const int64_t n =
          std::min(append.num_tokens() - i, kPageTokens - token % kPageTokens);
      append.Write(head, token, n, rows + i * head_dim, rows + i * head_dim);
      i += n;
    }
  }
}

// Microseconds a token, appending `count` tokens in appends of `n`.
double AppendCost(Session& session, int64_t n, int64_t count) {
  const std::vector<float> rows(static_cast<size_t>(n * 128), 0.5f);
  const double milliseconds = Milliseconds([&] {
    for (int64_t i = 0; i < count / n; ++i) {
      auto append = session.Lock(0)->BeginAppend({.num_tokens = n}, {});
      ASSERT_TRUE(append.ok()) << append.status();
      WriteRows(*append, 128, rows.data());
      append->Commit();
    }
  });
  return 1e3 * milliseconds / static_cast<double>(count);
}

// The best of some: neighbours on the machine only ever add.
double BestAppendCost(Session& session, int64_t n) {
  double best_us = 1e9;
  for (int i = 0; i < 7; ++i) {
    best_us = std::min(best_us, AppendCost(session, n, 512));
    EXPECT_TRUE(session.Truncate(0, 0).ok());
  }
  return best_us;
}

std::string NameOf(const KvFormat& format) {
  return format.packs_full_pages ? "INT8"
                                 : std::string(DataTypeName(format.dtype));
}

TEST(KvCostTest, AppendOfEightHeadsOf128) {
  for (const KvDtype dtype :
       {KvDtype::kF32, KvDtype::kBF16, KvDtype::kF16, KvDtype::kInt8}) {
    PagePool pool(int64_t{1} << 30);
    const KvSpec spec = SpecOf(1, dtype);
    Session session({test::Everybody(), "id"}, spec, pool, {});
    const double bulk_us = BestAppendCost(session, 512);
    const double single_us = BestAppendCost(session, 1);
    std::printf("append to %s: %.2f us a token in 512s, %.2f us alone\n",
                NameOf(FormatOf(spec)).c_str(), bulk_us, single_us);
    EXPECT_LT(bulk_us, 1000);
    EXPECT_LT(single_us, 2000);
  }
}

}  // namespace
}  // namespace attn
