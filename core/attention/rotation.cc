#include "core/attention/rotation.h"

#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "core/tensor/conversions.h"

namespace attn {
namespace {

// A position is kBlock * block + step; the angle of the sum comes from the
// angles of both, so that a row costs four products a pair instead of two
// calls of the maths library (about 1 ns instead of 40).
constexpr int64_t kBlock = 64;

struct Turn {
  double cos = 1;
  double sin = 0;
};

Turn TurnBy(double angle) { return {std::cos(angle), std::sin(angle)}; }

Turn operator+(const Turn& a, const Turn& b) {
  return {a.cos * b.cos - a.sin * b.sin, a.sin * b.cos + a.cos * b.sin};
}

std::vector<double> FrequenciesOf(const RopePlan& rope) {
  if (rope.frequencies != nullptr) return rope.frequencies->per_position;
  return MakeRopeFrequencies({.theta = rope.base,
                              .rotary_dim = rope.rotary_dim,
                              .scaling = RopeScaling::kLinear,
                              .factor = rope.scaling_factor})
      .per_position;
}

// The turns of positions by frequencies.
class Angles {
 public:
  explicit Angles(const RopePlan& rope)
      : frequencies_(FrequenciesOf(rope)),
        magnitude_(rope.frequencies ? rope.frequencies->magnitude : 1) {
    block_turns_.resize(size());
  }

  // write(pair, turn) for every pair of a row at `position`.
  template <typename Write>
  void ForEachPair(int64_t position, const Write& write) {
    const int64_t step = ((position % kBlock) + kBlock) % kBlock;
    // In f64: position - step may lie below int64.
    EnterBlock(static_cast<double>(position) - static_cast<double>(step));
    const std::vector<Turn>& steps = StepTurns(step);
    for (size_t i = 0; i < size(); ++i) write(i, block_turns_[i] + steps[i]);
  }

 private:
  size_t size() const { return frequencies_.size(); }

  // Made when first asked for: a decode step needs one of them, and all take
  // 80 us at 32 pairs.
  const std::vector<Turn>& StepTurns(int64_t step) {
    std::vector<Turn>& turns = steps_[static_cast<size_t>(step)];
    if (turns.empty()) {
      turns.reserve(size());
      for (const double frequency : frequencies_) {
        turns.push_back(TurnBy(static_cast<double>(step) * frequency));
      }
    }
    return turns;
  }

  void EnterBlock(double start) {
    if (start == block_start_) return;
    block_start_ = start;
    for (size_t i = 0; i < size(); ++i) {
      const Turn turn = TurnBy(start * frequencies_[i]);
      block_turns_[i] = {magnitude_ * turn.cos, magnitude_ * turn.sin};
    }
  }

  const std::vector<double> frequencies_;
  const double magnitude_;
  std::array<std::vector<Turn>, kBlock> steps_;  // [num_pairs] or empty.
  std::vector<Turn> block_turns_;
  double block_start_ = std::nan("");
};

// cos [rows, num_pairs] and sin behind it.
template <typename Float>
struct Table {
  Float* cos;
  Float* sin;
};

template <typename Float>
Table<Float> TableAt(std::byte* data, int64_t elements) {
  auto* floats = reinterpret_cast<Float*>(data);
  return {floats, floats + elements};
}

void Widen(DataType dtype, const std::byte* from, int64_t n, float* to) {
  ConvertToF32(dtype, from, n, 1.0f, to);
}
void Widen(DataType dtype, const std::byte* from, int64_t n, double* to) {
  ConvertToF64(dtype, from, n, to);
}

template <typename Float>
class Filler {
 public:
  Filler(const RopePlan& rope, const RotationBuffers& buffers)
      : rope_(rope), buffers_(buffers) {
    if (!rope.has_tables) angles_.emplace(rope);
  }

  void Row(int64_t position, Float* cos, Float* sin) {
    if (rope_.has_tables) {
      CopyGiven(buffers_.given_cos, position, cos);
      CopyGiven(buffers_.given_sin, position, sin);
      return;
    }
    angles_->ForEachPair(position, [&](size_t pair, const Turn& turn) {
      cos[pair] = static_cast<Float>(turn.cos);
      sin[pair] = static_cast<Float>(turn.sin);
    });
  }

 private:
  void CopyGiven(const std::byte* table, int64_t position, Float* to) const {
    const int64_t n = rope_.num_pairs();
    Widen(rope_.table_dtype,
          table + position * n * ElementBytes(rope_.table_dtype), n, to);
  }

  const RopePlan& rope_;
  const RotationBuffers buffers_;
  std::optional<Angles> angles_;  // Unless tables are given.
};

template <typename Float>
void Fill(const AttentionPlan& plan, const RotationBuffers& buffers) {
  const RopePlan& rope = plan.rope;
  const int64_t n = rope.num_pairs();
  Filler<Float> filler(rope, buffers);
  const Table<Float> query =
      TableAt<Float>(buffers.query, plan.geometry.q_len * n);
  for (int64_t row = 0; row < plan.geometry.q_len; ++row) {
    filler.Row(rope.QueryPosition(row), query.cos + row * n,
               query.sin + row * n);
  }
  if (!rope.turns_keys) return;
  const Table<Float> key =
      TableAt<Float>(buffers.key, plan.geometry.kv_len * n);
  for (int64_t j = 0; j < plan.geometry.kv_len; ++j) {
    filler.Row(rope.KeyPosition(j), key.cos + j * n, key.sin + j * n);
  }
}

// Message sizes bound q_len and kv_len, the query's own bytes num_pairs: the
// tables take at most twice the bytes of a head of the query or the key.
int64_t RotationBytes(const AttentionPlan& plan, int64_t rows) {
  return 2 * rows * plan.rope.num_pairs() * ElementBytes(plan.compute_dtype());
}

RotationView ViewOf(const AttentionPlan& plan, const std::byte* data,
                    int64_t rows) {
  if (!plan.rope.is_on() || data == nullptr) return {};
  return {.cos = data,
          .sin = data + RotationBytes(plan, rows) / 2,
          .dtype = plan.compute_dtype(),
          .num_pairs = plan.rope.num_pairs(),
          .is_interleaved = plan.rope.is_interleaved};
}

template <typename Float>
void Rotate(const RotationView& rotation, int64_t row, Float* values) {
  const int64_t n = rotation.num_pairs;
  const Float* cos = rotation.Cos<Float>(row);
  const Float* sin = rotation.Sin<Float>(row);
  const int64_t stride = rotation.is_interleaved ? 2 : 1;
  Float* second = values + (rotation.is_interleaved ? 1 : n);
  for (int64_t i = 0; i < n; ++i) {
    const Float x = values[i * stride];
    const Float y = second[i * stride];
    values[i * stride] = cos[i] * x - sin[i] * y;
    second[i * stride] = sin[i] * x + cos[i] * y;
  }
}

}  // namespace

int64_t QueryRotationBytes(const AttentionPlan& plan) {
  return RotationBytes(plan, plan.geometry.q_len);
}

int64_t KeyRotationBytes(const AttentionPlan& plan) {
  return plan.rope.turns_keys ? RotationBytes(plan, plan.geometry.kv_len) : 0;
}

void FillRotation(const AttentionPlan& plan, const RotationBuffers& buffers) {
  if (plan.compute_dtype() == DataType::kF64) {
    Fill<double>(plan, buffers);
  } else {
    Fill<float>(plan, buffers);
  }
}

RotationView QueryRotation(const AttentionPlan& plan,
                           const RotationBuffers& buffers) {
  return ViewOf(plan, buffers.query, plan.geometry.q_len);
}

RotationView KeyRotation(const AttentionPlan& plan,
                         const RotationBuffers& buffers) {
  if (!plan.rope.turns_keys) return {};
  return ViewOf(plan, buffers.key, plan.geometry.kv_len);
}

struct KeyTurns::State {
  const RopePlan& rope;
  Filler<float> filler;
  std::vector<float> cos;
  std::vector<float> sin;
};

KeyTurns::KeyTurns(const RopePlan& rope, const std::byte* given_cos,
                   const std::byte* given_sin)
    : state_(new State{
          rope,
          Filler<float>(rope, {.given_cos = given_cos, .given_sin = given_sin}),
          {},
          {}}) {}

KeyTurns::~KeyTurns() = default;

RotationView KeyTurns::Run(int64_t first, int64_t n) {
  const int64_t pairs = state_->rope.num_pairs();
  state_->cos.resize(static_cast<size_t>(n * pairs));
  state_->sin.resize(static_cast<size_t>(n * pairs));
  for (int64_t i = 0; i < n; ++i) {
    state_->filler.Row(state_->rope.KeyPosition(first + i),
                       state_->cos.data() + i * pairs,
                       state_->sin.data() + i * pairs);
  }
  return {.cos = reinterpret_cast<const std::byte*>(state_->cos.data()),
          .sin = reinterpret_cast<const std::byte*>(state_->sin.data()),
          .dtype = DataType::kF32,
          .num_pairs = pairs,
          .is_interleaved = state_->rope.is_interleaved};
}

void RotateRow(const RotationView& rotation, int64_t row, float* values) {
  Rotate(rotation, row, values);
}

void RotateRow(const RotationView& rotation, int64_t row, double* values) {
  Rotate(rotation, row, values);
}

}  // namespace attn
