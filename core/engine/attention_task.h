// A request as the engine runs it: its plan, the buffers that hold its tensors
// and its reply, and how it is cut into units of work.
//
// Life:
//   1. Engine::Prepare makes it with memory for everything.
//   2. The caller copies the tensors in and hands it to Engine::Submit.
//   3. Workers run its units; the first verdict (failed, expired, cancelled)
//      makes the rest be skipped.
//   4. When the last item is accounted for, `done` is called exactly once, and
//      the inputs are given back. The reply lives as long as the task.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/attention/attention_plan.h"
#include "core/attention/kernel_choice.h"
#include "core/attention/problem.h"
#include "core/attention/tile_gemm.h"
#include "core/engine/engine_task.h"
#include "core/kv_cache/kv_layer.h"
#include "core/memory/buffer_pool.h"
#include "core/memory/scratch_arena.h"

namespace attn {

// Thread-compatible; the engine orders who touches it when.
class AttentionTask final : public EngineTask {
 public:
  // Leases in which the tensors lie one after another at kBufferAlignment;
  // InputBytes and ReplyBytes say how much they must hold.
  struct Buffers {
    PooledBuffer inputs;
    PooledBuffer reply;
  };
  static int64_t InputBytes(const AttentionPlan& plan);
  static int64_t ReplyBytes(const AttentionPlan& plan);

  AttentionTask(AttentionPlan plan, const TaskFacts& facts,
                AdmissionTicket ticket, Buffers buffers,
                AdmissionTicket* job_ticket = nullptr);

  const AttentionPlan& plan() const { return plan_; }

  // Where the caller puts the tensors, sized by the plan; the mask only if
  // plan().has_mask.
  std::byte* query() { return input_at_.query; }
  std::byte* key() { return input_at_.key; }
  std::byte* value() { return input_at_.value; }
  std::byte* mask() { return input_at_.mask; }
  // Tables of the rotation; only if plan().rope.has_tables.
  std::byte* cos() { return input_at_.cos; }
  std::byte* sin() { return input_at_.sin; }

  // The pages of a plan with a session, kept until the task ends. Once, before
  // it is submitted.
  void Attach(KvSnapshot snapshot);

  // The results, sized by the plan; meaningful once done with an OK status.
  const std::byte* output() const { return buffers_at_.output; }
  const std::byte* lse() const { return buffers_at_.lse; }
  const std::byte* weights() const { return buffers_at_.weights; }
  const std::byte* top_indices() const { return buffers_at_.top_indices; }
  const std::byte* top_probabilities() const {
    return buffers_at_.top_probabilities;
  }

  // A unit is a tile of folded rows of one problem over one split of its keys
  // (split_kv.h; mostly there is one, of all). Tiles count fastest, splits
  // slowest. Several splits are of one tile, so that unit
  // split * num_problems() + problem is all of a problem's rows.
  int64_t num_units() const { return num_units_; }
  absl::Status RunUnit(int64_t unit, const TileGemm& gemm, ScratchArena& arena);

  int64_t num_splits() const { return num_splits_; }
  int64_t num_problems() const { return num_problems_; }
  int64_t num_rows() const { return num_rows_; }  // Folded, of a problem.

  // The pages of a split of which every row sees every key; else nothing.
  absl::Span<const std::byte* const> PagesOfSplit(int64_t split) const;
  // What a unit works on, and that it did: the last one of a problem merges its
  // splits.
  Problem ProblemOf(int64_t unit) const;
  void UnitIsDone(int64_t unit);

 private:
  using Countdown = std::atomic<int64_t>;

  // Bytes of the splits' answers and countdowns.
  static int64_t SplitBytes(const AttentionPlan& plan);
  void ReleaseInputs() override;
  // A unit's place.
  int64_t ProblemIndex(int64_t unit) const {
    return unit / tiles_per_problem_ % num_problems_;
  }
  int64_t SplitIndex(int64_t unit) const {
    return unit / (tiles_per_problem_ * num_problems_);
  }
  Problem WholeProblem(int64_t index) const;
  float* AnswersOf(int64_t problem) const {
    return answers_ + problem * answer_floats_;
  }

  struct InputPointers {
    std::byte* query = nullptr;
    std::byte* key = nullptr;
    std::byte* value = nullptr;
    std::byte* mask = nullptr;
    std::byte* cos = nullptr;
    std::byte* sin = nullptr;
  };

  const AttentionPlan plan_;
  const KernelChoice kernel_;
  const int64_t num_splits_;
  const int64_t answer_floats_;  // Of a problem's splits.
  const int64_t num_problems_;
  const int64_t num_rows_;
  const int64_t tiles_per_problem_;
  const int64_t num_units_;

  Buffers buffers_;
  KvSnapshot snapshot_;
  InputPointers input_at_;
  RequestBuffers buffers_at_;
  // Where there are splits, for each problem: their answers, and how many are
  // still to come.
  float* answers_ = nullptr;
  Countdown* splits_left_ = nullptr;
  // The worker that comes first turns positions into cosines, for all.
  mutable std::once_flag rotation_once_;
};

using AttentionTaskPtr = std::shared_ptr<AttentionTask>;

}  // namespace attn
