#include "core/attention/top_keys.h"

#include <cmath>
#include <limits>
#include <utility>

namespace attn {

template <typename Float>
void TopKeys<Float>::Offer(const Float* scores, int64_t n, int64_t first_key) {
  constexpr Float kInfinity = std::numeric_limits<Float>::infinity();
  for (int64_t j = 0; j < n; ++j) {
    const Float score = std::isnan(scores[j]) ? kInfinity : scores[j];
    if (score == -kInfinity) continue;
    if (size_ == top_k_) {
      // An equal one came later: its key is larger.
      if (score <= scores_[0]) continue;
      scores_[0] = score;
      keys_[0] = static_cast<int32_t>(first_key + j);
      SiftDown(0, size_);
      continue;
    }
    scores_[size_] = score;
    keys_[size_] = static_cast<int32_t>(first_key + j);
    SiftUp(size_++);
  }
}

// Heap sort: the entry that ranks last goes to the end, again and again.
template <typename Float>
Float* TopKeys<Float>::Finish() {
  for (int64_t last = size_ - 1; last > 0; --last) {
    Swap(0, last);
    SiftDown(0, last);
  }
  constexpr Float kInfinity = std::numeric_limits<Float>::infinity();
  for (int64_t i = size_; i < top_k_; ++i) {
    scores_[i] = -kInfinity;
    keys_[i] = -1;
  }
  return scores_;
}

template <typename Float>
bool TopKeys<Float>::RanksBehind(int64_t a, int64_t b) const {
  if (scores_[a] != scores_[b]) return scores_[a] < scores_[b];
  return keys_[a] > keys_[b];
}

template <typename Float>
void TopKeys<Float>::Swap(int64_t a, int64_t b) {
  std::swap(scores_[a], scores_[b]);
  std::swap(keys_[a], keys_[b]);
}

template <typename Float>
void TopKeys<Float>::SiftUp(int64_t i) {
  while (i > 0 && RanksBehind(i, (i - 1) / 2)) {
    Swap(i, (i - 1) / 2);
    i = (i - 1) / 2;
  }
}

template <typename Float>
void TopKeys<Float>::SiftDown(int64_t i, int64_t size) {
  while (2 * i + 1 < size) {
    int64_t child = 2 * i + 1;
    if (child + 1 < size && RanksBehind(child + 1, child)) ++child;
    if (!RanksBehind(child, i)) return;
    Swap(i, child);
    i = child;
  }
}

template class TopKeys<float>;
template class TopKeys<double>;

}  // namespace attn
