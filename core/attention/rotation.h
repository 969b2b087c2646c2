// Rotary position embedding (Su et al., "RoFormer", 2021): channel pairs of
// query and key rows turn by an angle that grows with the row's position, so
// that q . k depends on the distance of the two.
//
// A task makes the cosines and sines of all its rows once (FillRotation);
// packing turns rows as it widens them (RotateRow), before any rounding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/attention/attention_plan.h"
#include "core/tensor/dtype.h"

namespace attn {

// Cosines and sines of consecutive rows, each [rows, num_pairs] of F32 or F64.
// Borrows them.
struct RotationView {
  const std::byte* cos = nullptr;  // Null: no rotation.
  const std::byte* sin = nullptr;
  DataType dtype = DataType::kF32;
  int64_t num_pairs = 0;
  bool is_interleaved = false;

  bool is_on() const { return cos != nullptr; }
  template <typename Float>
  const Float* Cos(int64_t row) const {
    return reinterpret_cast<const Float*>(cos) + row * num_pairs;
  }
  template <typename Float>
  const Float* Sin(int64_t row) const {
    return reinterpret_cast<const Float*>(sin) + row * num_pairs;
  }
};

// Where a request's tables lie: as sent, and as made for its rows.
struct RotationBuffers {
  const std::byte* given_cos = nullptr;  // [num_positions, num_pairs]
  const std::byte* given_sin = nullptr;
  std::byte* query = nullptr;  // cos [q_len, num_pairs], then sin
  std::byte* key = nullptr;    // cos [kv_len, num_pairs], then sin
};

// Bytes of `query` and `key` of RotationBuffers; 0 without rotation.
int64_t QueryRotationBytes(const AttentionPlan& plan);
int64_t KeyRotationBytes(const AttentionPlan& plan);

// Fills buffers.query and buffers.key. Angles are computed in f64 and their
// cosines rounded once, so positions of millions turn right.
// REQUIRES: plan.rope.is_on().
void FillRotation(const AttentionPlan& plan, const RotationBuffers& buffers);

// What FillRotation made; off without rotation.
RotationView QueryRotation(const AttentionPlan& plan,
                           const RotationBuffers& buffers);
RotationView KeyRotation(const AttentionPlan& plan,
                         const RotationBuffers& buffers);

// The angles of keys that are appended to a session, run by run. Confined to
// one thread.
class KeyTurns {
 public:
  // Borrows both. REQUIRES: rope.is_on().
  KeyTurns(const RopePlan& rope, const std::byte* given_cos,
           const std::byte* given_sin);
  ~KeyTurns();
  KeyTurns(const KeyTurns&) = delete;
  KeyTurns& operator=(const KeyTurns&) = delete;

  // F32 angles of keys [first, first + n) of those sent; valid until the next
  // call.
  RotationView Run(int64_t first, int64_t n);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// Turns the first 2 * num_pairs of `values` in place by the angles of `row`:
//   (x, y) becomes (cos x - sin y, sin x + cos y).
// REQUIRES: the view's dtype is that of the values.
void RotateRow(const RotationView& rotation, int64_t row, float* values);
void RotateRow(const RotationView& rotation, int64_t row, double* values);

}  // namespace attn
