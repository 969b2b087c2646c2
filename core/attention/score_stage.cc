#include "core/attention/score_stage.h"

#include <algorithm>
#include <cmath>

#include "core/attention/score_ops.h"
#include "core/tensor/conversions.h"

namespace attn {
namespace {

// Mask elements that are widened at a time, on the stack.
constexpr int64_t kMaskChunk = 256;

}  // namespace

ScoreStage::ScoreStage(const Problem& problem, RowRange rows)
    : p_(problem),
      rows_(rows),
      is_natural_(HasNaturalStep()),
      query_factor_(
          static_cast<float>(is_natural_ ? p_.scale : p_.scale * kLog4E)) {}

// A bool mask only selects; the others compute in natural units.
bool ScoreStage::HasNaturalStep() const {
  const bool adds_mask =
      p_.mask.data != nullptr && p_.mask.dtype != DataType::kBool;
  return p_.softcap > 0 || p_.alibi_slopes != nullptr || adds_mask ||
         p_.weights.data != nullptr;
}

void ScoreStage::FindRanges(KeyRange* ranges) {
  seen_ = {p_.kv_len, 0};
  seen_by_all_ = {0, p_.kv_len};
  for (int64_t r = 0; r < rows_.size(); ++r) {
    const KeyRange range = p_.structure.Allowed(p_.RowOf(rows_.first + r));
    ranges[r] = range;
    seen_by_all_.first = std::max(seen_by_all_.first, range.first);
    seen_by_all_.last = std::min(seen_by_all_.last, range.last);
    if (range.empty()) continue;
    seen_.first = std::min(seen_.first, range.first);
    seen_.last = std::max(seen_.last, range.last);
  }
}

void ScoreStage::Bias(const KeyRange* ranges, int64_t first_key,
                      int64_t num_keys, float* scores, int64_t stride) const {
  const bool is_inside = seen_by_all_.first <= first_key &&
                         first_key + num_keys <= seen_by_all_.last;
  if (is_inside && !is_natural_ && p_.mask.data == nullptr) return;
  for (int64_t r = 0; r < rows_.size(); ++r) {
    float* row = scores + r * stride;
    Cap(row, num_keys);
    BiasRow(ranges[r], r, first_key, num_keys, row);
    if (is_natural_) ToLog4Row(row, num_keys);
  }
}

void ScoreStage::Cap(float* scores, int64_t num_keys) const {
  if (p_.softcap > 0) SoftcapRow(scores, num_keys, p_.softcap);
}

void ScoreStage::BiasRow(const KeyRange& range, int64_t r, int64_t first_key,
                         int64_t num_keys, float* scores) const {
  const int64_t folded = rows_.first + r;
  if (p_.alibi_slopes != nullptr) {
    const double position = static_cast<double>(p_.structure.offset) +
                            static_cast<double>(p_.RowOf(folded));
    AddAlibiRow(scores, num_keys, p_.alibi_slopes[p_.HeadOf(folded)],
                static_cast<double>(first_key) - position);
  }
  if (p_.mask.data != nullptr) AddMask(r, first_key, num_keys, scores);
  ForbidOutside(scores, num_keys, first_key, range);
}

// The mask may end before the keys do; those are outside the row's range.
void ScoreStage::AddMask(int64_t r, int64_t first_key, int64_t num_keys,
                         float* scores) const {
  const int64_t folded = rows_.first + r;
  const std::byte* row = p_.mask.Row(p_.HeadOf(folded), p_.RowOf(folded));
  const int64_t element = ElementBytes(p_.mask.dtype);
  if (p_.mask.strides.key == 0) {
    std::byte repeated[kMaskChunk * sizeof(float)];
    for (int64_t j = 0; j < std::min(num_keys, kMaskChunk); ++j) {
      std::copy(row, row + element, repeated + j * element);
    }
    for (int64_t j = 0; j < num_keys; j += kMaskChunk) {
      AddMaskChunk(repeated, std::min(kMaskChunk, num_keys - j), scores + j);
    }
    return;
  }
  const int64_t covered = std::min(num_keys, p_.structure.kv_limit - first_key);
  for (int64_t j = 0; j < covered; j += kMaskChunk) {
    AddMaskChunk(row + (first_key + j) * element,
                 std::min(kMaskChunk, covered - j), scores + j);
  }
}

void ScoreStage::AddMaskChunk(const std::byte* mask, int64_t num_keys,
                              float* scores) const {
  if (p_.mask.dtype == DataType::kBool) {
    ForbidRow(scores, num_keys, mask);
    return;
  }
  float bias[kMaskChunk];
  ConvertToF32(p_.mask.dtype, mask, num_keys, 1.0f, bias);
  AddBiasRow(scores, num_keys, bias);
}

bool ScoreStage::IsAllowed(const KeyRange& range, int64_t r,
                           int64_t key) const {
  if (!range.Contains(key)) return false;
  if (p_.mask.data == nullptr) return true;
  const int64_t folded = rows_.first + r;
  const std::byte* element =
      p_.mask.Row(p_.HeadOf(folded), p_.RowOf(folded)) +
      key * p_.mask.strides.key * ElementBytes(p_.mask.dtype);
  if (p_.mask.dtype == DataType::kBool) return element[0] != std::byte{0};
  float bias = 0;
  ConvertToF32(p_.mask.dtype, element, 1, 1.0f, &bias);
  return bias != -INFINITY;
}

}  // namespace attn
