// Split-KV: the keys of a long context, cut for a few query rows into splits of
// a fixed length, so that several workers share one context, and sessions that
// share a prefix read it once. Each split is a problem of its own; their
// answers are merged in the order of the splits.
//
// Whether and where to cut follows from the plan alone: a row's bits do not
// depend on workers, load or neighbours.
#pragma once

#include <cstdint>

#include "core/attention/attention_plan.h"
#include "core/attention/problem.h"

namespace attn {

// Keys of a split; a multiple of a page. Short beside a context worth sharing,
// long beside what a split costs for itself (packing the query, a merge).
inline constexpr int64_t kSplitKeys = 1024;

// How many splits the plan's keys make: 1 where they are not cut, because
// another kernel runs, or because weights or top keys are wanted, which need
// the whole denominator first.
int64_t NumSplits(const AttentionPlan& plan);

// Floats for the answers of one problem: for each split the group's outputs
// [group_size, q_len, value_head_dim] and lse [group_size, q_len].
int64_t SplitAnswerFloats(const AttentionPlan& plan);

// `whole`, over one split of its keys, answering into `answers`. Without the
// sinks, which MergeSplits adds. Borrows both.
Problem SplitProblem(const Problem& whole, int64_t split, float* answers);

// Writes output and lse of `whole` from the answers of its splits, which it
// uses up.
void MergeSplits(const Problem& whole, int64_t num_splits, float* answers);

}  // namespace attn
