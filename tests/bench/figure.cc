#include "tests/bench/figure.h"

#include <algorithm>
#include <chrono>

namespace attn::bench {

Measured Measure(const Figure& figure, int repetitions) {
  figure.measure();  // Warms up.
  std::vector<double> values;
  for (int i = 0; i < repetitions; ++i) values.push_back(figure.measure());
  std::sort(values.begin(), values.end());
  return {.median = values[values.size() / 2],
          .lowest = values.front(),
          .highest = values.back()};
}

double SecondsOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> time =
      std::chrono::steady_clock::now() - start;
  return time.count();
}

}  // namespace attn::bench
