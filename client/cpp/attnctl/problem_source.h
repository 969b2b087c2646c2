// Makes the requests of a bench: request number i is a function of the shape,
// the seed and i alone, so that any of them can be sent again. All share one
// pool of normally distributed numbers; making one copies no elements.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "client/cpp/attnctl/length_range.h"
#include "client/cpp/request.h"

namespace attn::attnctl {

struct ProblemShape {
  int64_t batch_size = 1;
  int64_t num_q_heads = 8;
  int64_t num_kv_heads = 0;  // 0: as num_q_heads.
  LengthRange q_len = {};
  LengthRange kv_len = {1024, 1024};
  int64_t head_dim = 64;
  int64_t value_head_dim = 0;  // 0: as head_dim.
  client::DType dtype = client::DType::kF32;
  client::Causal causal = client::Causal::kNone;
  client::Priority priority = client::Priority::kUnspecified;
};

// Thread-safe: immutable.
class ProblemSource {
 public:
  // Errors: INVALID_ARGUMENT for shapes whose tensors exceed 2 GiB.
  static absl::StatusOr<ProblemSource> Create(const ProblemShape& shape,
                                              uint64_t seed);

  // Request number `index`; its request_id is that number.
  client::AttendRequest Make(uint64_t index) const;

  // Bytes of the tensors of a request.
  static uint64_t TensorBytes(const client::AttendRequest& request);

 private:
  ProblemSource(const ProblemShape& shape, uint64_t seed, client::Tensor pool);

  // A view of the pool that begins at a place drawn from `draw`.
  client::Tensor View(client::Shape shape, uint64_t draw) const;

  ProblemShape shape_;
  uint64_t seed_;
  client::Tensor pool_;  // [elements]
};

// Log-uniform in the range, from 64 random bits. A range from 0 draws as one
// from 1 with every length one less.
int64_t DrawLength(const LengthRange& range, uint64_t draw);

}  // namespace attn::attnctl
