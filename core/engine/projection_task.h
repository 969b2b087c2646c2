// A step of a job: rows of one request through linear projections. Never runs
// alone: projection_batch.h puts the rows of all waiting tasks together.
#pragma once

#include <cstdint>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "core/engine/engine_task.h"
#include "core/projection/linear.h"

namespace attn {

struct Projection {
  const Linear* linear = nullptr;
  OutRows out = {};  // At channel 0.
};

// Rows [num_rows, in_dim], and what is made of them.
struct ProjectedRows {
  InRows in = {};
  int64_t num_rows = 0;
  absl::InlinedVector<Projection, 3> projections = {};
};

// Queries may come from other rows than keys and values.
using ProjectedParts = absl::InlinedVector<ProjectedRows, 2>;

// Borrows rows and linears, which its job keeps. Thread-compatible, as
// EngineTask is.
class ProjectionTask final : public EngineTask {
 public:
  ProjectionTask(const TaskFacts& facts, AdmissionTicket& job_ticket,
                 ProjectedParts parts)
      : EngineTask(Kind::kProjection, facts, AdmissionTicket(), &job_ticket),
        parts_(std::move(parts)) {}

  absl::Span<const ProjectedRows> parts() const { return parts_; }
  int64_t num_rows() const;  // Of all parts.

 private:
  void ReleaseInputs() override {}

  const ProjectedParts parts_;
};

// FLOPs of the products.
double ProjectionCost(const ProjectedParts& parts);

}  // namespace attn
