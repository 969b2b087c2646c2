// The top_k largest scores of a row with their keys, gathered tile by tile
// without holding the row.
#pragma once

#include <cstdint>

namespace attn {

// Borrows room for top_k scores and keys. Confined to one worker thread.
//
// Order: larger scores first, of equal ones the smaller key; NaN counts as
// infinity. Keys at -inf are not allowed and never enter.
template <typename Float>
class TopKeys {
 public:
  // scores, keys: [top_k]
  TopKeys(Float* scores, int32_t* keys, int64_t top_k)
      : scores_(scores), keys_(keys), top_k_(top_k) {}

  // Takes in scores of keys first_key + 0 .. n - 1. Calls must come in
  // ascending order of keys.
  void Offer(const Float* scores, int64_t n, int64_t first_key);

  // Sorts what was kept, pads scores with -inf and keys with -1, and returns
  // the scores. Last call but keys().
  Float* Finish();
  const int32_t* keys() const { return keys_; }

 private:
  // Whether kept entry `a` ranks behind entry `b`.
  bool RanksBehind(int64_t a, int64_t b) const;
  void Swap(int64_t a, int64_t b);
  void SiftUp(int64_t i);
  void SiftDown(int64_t i, int64_t size);

  Float* const scores_;  // A heap with the entry that ranks last on top.
  int32_t* const keys_;
  const int64_t top_k_;
  int64_t size_ = 0;
};

extern template class TopKeys<float>;
extern template class TopKeys<double>;

}  // namespace attn
