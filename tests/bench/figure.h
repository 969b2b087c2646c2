// What tests/bench measures: ratios, each within one process and one run, the
// thing measured and its yardstick in turns, because the machine's speed swings
// from minute to minute (design/performance.md).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace attn::bench {

enum class Goal { kAtLeast, kAtMost };

struct Figure {
  std::string name;
  std::string what;
  Goal goal = Goal::kAtLeast;
  double target = 0;
  // One value; called as often as there are repetitions, the first one unused.
  std::function<double()> measure;
};

using Figures = std::vector<Figure>;

// Each makes its data when its first figure is measured.
Figures PrefillFigures();
Figures DecodeFigures();
Figures EngineFigures();
Figures LayerFigures();
Figures WireFigures();
Figures ServeFigures();

struct Measured {
  double median = 0;
  double lowest = 0;
  double highest = 0;
};
// REQUIRES: repetitions >= 1.
Measured Measure(const Figure& figure, int repetitions);

// Seconds of wall time that `work` takes.
double SecondsOf(const std::function<void()>& work);

// A value that is made when it is first asked for.
template <typename Value>
class Lazy {
 public:
  explicit Lazy(std::function<std::unique_ptr<Value>()> make)
      : make_(std::move(make)) {}
  Value& operator*() {
    if (value_ == nullptr) value_ = make_();
    return *value_;
  }

 private:
  const std::function<std::unique_ptr<Value>()> make_;
  std::unique_ptr<Value> value_;
};

}  // namespace attn::bench
