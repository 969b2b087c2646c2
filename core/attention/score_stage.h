// What a problem's options do to raw scores, for the folded rows of one tile:
// softcap, ALiBi, mask and structure, in the order of the contract. Kernels
// call it between their two products.
#pragma once

#include <cstdint>

#include "core/attention/key_range.h"
#include "core/attention/problem.h"

namespace attn {

// Borrows the problem. Confined to one worker thread.
class ScoreStage {
 public:
  ScoreStage(const Problem& problem, RowRange rows);

  // By what to multiply the query so that Bias receives what it expects: scale,
  // and log4(e) as well where no option needs natural scores in between.
  float query_factor() const { return query_factor_; }
  // Whether Cap and BiasRow take and leave natural scores, not base 4.
  bool is_natural() const { return is_natural_; }

  // ranges: [rows.size()] gets the keys allowed to each row by structure. Must
  // come before Bias.
  void FindRanges(KeyRange* ranges);

  // The keys that at least one row may see.
  KeyRange seen() const { return seen_; }

  // Scores [rows.size(), stride] of keys first_key... as the product left them,
  // to final logits in base 4, -inf where not allowed.
  void Bias(const KeyRange* ranges, int64_t first_key, int64_t num_keys,
            float* scores, int64_t stride) const;

  // The single steps, on natural scores, for weights.
  void Cap(float* scores, int64_t num_keys) const;
  void BiasRow(const KeyRange& range, int64_t r, int64_t first_key,
               int64_t num_keys, float* scores) const;

  // Whether row r may see the key: by structure, and by a mask that is not
  // -inf.
  bool IsAllowed(const KeyRange& range, int64_t r, int64_t key) const;

 private:
  bool HasNaturalStep() const;
  void AddMask(int64_t r, int64_t first_key, int64_t num_keys,
               float* scores) const;
  void AddMaskChunk(const std::byte* mask, int64_t num_keys,
                    float* scores) const;

  const Problem& p_;
  const RowRange rows_;
  const bool is_natural_;
  const float query_factor_;
  KeyRange seen_;         // Union of the rows' ranges.
  KeyRange seen_by_all_;  // Their intersection.
};

}  // namespace attn
