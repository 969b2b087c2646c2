#include "core/attention/row_tile.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "core/attention/paged_tiles.h"
#include "core/attention/score_ops.h"
#include "core/base/status_macros.h"
#include "core/tensor/conversions.h"

namespace attn {
namespace {

constexpr double kLn4 = 1.38629436111989061883;

// Short beside a tile of 256, long enough for the matrix library.
constexpr int64_t kStripKeys = 64;

double Exp4(double x) { return std::exp2(2 * x); }

}  // namespace

RowTile::RowTile(absl::Span<const RowShare> shares, int64_t tile_keys,
                 const TileGemm& gemm)
    : p_(*shares.front().problem), tile_keys_(tile_keys), gemm_(gemm) {
  int64_t first = 0;
  for (const RowShare& share : shares) {
    members_.emplace_back(share, first);
    first += share.rows.size();
  }
}

absl::Status RowTile::Run(ScratchArena& arena) {
  ATTN_RETURN_IF_ERROR(TakeScratch(arena));
  for (Member& member : members_) {
    PackQueryTile(member.p, member.rows, member.stage.query_factor(),
                  query_ + member.first * p_.query.dim);
    member.stage.FindRanges(ranges_ + member.first);
  }
  ATTN_RETURN_IF_ERROR(VisitKeys());
  // NaN and infinity among the values are in what rows accumulated, even of
  // keys that they must not see. Looking for them here alone is cheaper than in
  // each tile (a fifth of a decode tile), and finding some is rare.
  if (!AreFinite(accumulated_, num_rows(), p_.value.dim, p_.value.dim)) {
    looks_at_values_ = true;
    ATTN_RETURN_IF_ERROR(VisitKeys());
  }
  for (const Member& member : members_) {
    Normalise(member);
    WriteRows(member);
  }
  // Raw scores are shown at every key, top keys are all among the seen.
  if (p_.weights.data != nullptr) {
    ATTN_RETURN_IF_ERROR(WalkAgain({0, p_.kv_len}));
  } else if (top_ != nullptr) {
    ATTN_RETURN_IF_ERROR(WalkAgain(front().stage.seen()));
  }
  if (top_ != nullptr) WriteTop();
  return absl::OkStatus();
}

absl::Status RowTile::TakeScratch(ScratchArena& arena) {
  const int64_t rows = num_rows();
  const int64_t d = p_.query.dim;
  const int64_t dv = p_.value.dim;
  const auto floats = [](int64_t n) {
    return ScratchArena::BytesFor<float>(n);
  };
  static_assert(sizeof(float) == sizeof(int32_t));
  ATTN_RETURN_IF_ERROR(arena.Reset(
      floats(rows * d) + floats(d * tile_keys_) +
      floats(std::max(d, dv) * tile_keys_) + floats(rows * tile_keys_) +
      floats(rows * dv) + 4 * floats(rows) +
      ScratchArena::BytesFor<double>(rows) +
      ScratchArena::BytesFor<KeyRange>(rows) + 2 * floats(rows * p_.top.top_k) +
      ScratchArena::BytesFor<TopKeys<float>>(rows)));
  query_ = arena.Take<float>(rows * d);
  panel_ = arena.Take<float>(std::max(d, dv) * tile_keys_);
  widened_ = arena.Take<float>(d * tile_keys_);
  scores_ = arena.Take<float>(rows * tile_keys_);
  accumulated_ = arena.Take<float>(rows * dv);
  max_ = arena.Take<float>(rows);
  rescale_ = arena.Take<float>(rows);
  norm_ = arena.Take<float>(rows);
  lse_ = arena.Take<float>(rows);
  sum_ = arena.Take<double>(rows);
  ranges_ = arena.Take<KeyRange>(rows);
  if (p_.top.top_k == 0) return absl::OkStatus();
  float* top_scores = arena.Take<float>(rows * p_.top.top_k);
  auto* top_keys = arena.Take<int32_t>(rows * p_.top.top_k);
  top_ = arena.Take<TopKeys<float>>(rows);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t place = r * p_.top.top_k;
    new (top_ + r)
        TopKeys<float>(top_scores + place, top_keys + place, p_.top.top_k);
  }
  return absl::OkStatus();
}

// Tiles start at multiples of their size, so that skipping some does not move
// the others.
template <typename Visit>
absl::Status RowTile::ForEachTile(const KeyRange& keys, const Visit& visit) {
  if (keys.empty()) return absl::OkStatus();
  for (int64_t key = keys.first - keys.first % tile_keys_; key < keys.last;
       key += tile_keys_) {
    ATTN_RETURN_IF_ERROR(visit(key, std::min(tile_keys_, keys.last - key)));
  }
  return absl::OkStatus();
}

absl::Status RowTile::VisitKeys() {
  std::fill(max_, max_ + num_rows(), -INFINITY);
  std::fill(sum_, sum_ + num_rows(), 0.0);
  std::fill(accumulated_, accumulated_ + num_rows() * p_.value.dim, 0.0f);
  return ForEachTile(front().stage.seen(),
                     [this](int64_t key, int64_t num_keys) {
                       return VisitTile(key, num_keys);
                     });
}

RowTile::Strips RowTile::StripsOf(int64_t first_key, int64_t num_keys) const {
  const KeyRange keys{first_key, first_key + num_keys};
  const KeyRange* begin = ranges_;
  const KeyRange* end = begin + num_rows();
  const bool is_whole = std::all_of(begin, end, [&](const KeyRange& range) {
    return range.first <= keys.first && keys.last <= range.last;
  });
  if (is_whole) return {{.num_keys = num_keys, .rows = {0, num_rows()}}};
  Strips strips;
  for (int64_t column = 0; column < num_keys; column += kStripKeys) {
    const int64_t n = std::min(kStripKeys, num_keys - column);
    const int64_t first = first_key + column;
    const auto sees = [&](const KeyRange& range) {
      return range.first < first + n && first < range.last;
    };
    const KeyRange* from = std::find_if(begin, end, sees);
    const KeyRange* to = end;
    while (to > from && !sees(to[-1])) --to;
    if (from == to) continue;
    strips.push_back(
        {.column = column, .num_keys = n, .rows = {from - begin, to - begin}});
  }
  return strips;
}

absl::Status RowTile::VisitTile(int64_t first_key, int64_t num_keys) {
  const Strips strips = StripsOf(first_key, num_keys);
  ATTN_RETURN_IF_ERROR(Score(first_key, num_keys, strips));
  for (const Member& member : members_) {
    member.stage.Bias(ranges_ + member.first, first_key, num_keys,
                      scores_ + member.first * tile_keys_, tile_keys_);
  }
  SoftmaxStep({.scores = scores_,
               .num_rows = num_rows(),
               .num_keys = num_keys,
               .stride = tile_keys_,
               .max = max_,
               .sum = sum_,
               .rescale = rescale_});
  Rescale();
  return WeighValues(first_key, num_keys, strips);
}

// scores = query * key
absl::Status RowTile::Score(int64_t first_key, int64_t num_keys,
                            const Strips& strips) {
  const int64_t dim = p_.query.dim;
  GemmShape shape{.m = num_rows(),
                  .n = num_keys,
                  .k = dim,
                  .lda = dim,
                  .ldb = kPageTokens,
                  .ldc = tile_keys_};
  if (gemm_.TakesStored()) {
    if (const auto stored = StoredKeys(p_, first_key, num_keys)) {
      return gemm_.MultiplyStored(shape, query_, *stored, scores_,
                                  /*accumulate=*/false);
    }
  }
  PackKeyTile(p_, first_key, num_keys,
              {.widened = widened_, .packed = panel_, .stride = tile_keys_});
  shape.ldb = tile_keys_;
  for (const Strip& strip : strips) {
    shape.m = strip.rows.size();
    shape.n = strip.num_keys;
    float* scores = scores_ + strip.rows.first * tile_keys_ + strip.column;
    ATTN_RETURN_IF_ERROR(gemm_.Multiply(shape, query_ + strip.rows.first * dim,
                                        panel_ + strip.column, scores,
                                        /*accumulate=*/false));
  }
  return absl::OkStatus();
}

// accumulated += weights * value
absl::Status RowTile::WeighValues(int64_t first_key, int64_t num_keys,
                                  const Strips& strips) {
  const int64_t dim = p_.value.dim;
  GemmShape shape{.m = num_rows(),
                  .n = dim,
                  .k = num_keys,
                  .lda = tile_keys_,
                  .ldb = dim,
                  .ldc = dim};
  if (gemm_.TakesStored() && !looks_at_values_) {
    if (const auto stored = StoredValues(p_, first_key, num_keys)) {
      return gemm_.MultiplyStored(shape, scores_, *stored, accumulated_,
                                  /*accumulate=*/true);
    }
  }
  const ValueTile value = PackValueTile(p_, first_key, num_keys, panel_);
  if (looks_at_values_ && !AreFinite(value.data, num_keys, dim, value.stride)) {
    for (const Member& member : members_) {
      WeighAllowedValues(member, value, first_key, num_keys);
    }
    return absl::OkStatus();
  }
  shape.ldb = value.stride;
  for (const Strip& strip : strips) {
    shape.m = strip.rows.size();
    shape.k = strip.num_keys;
    const int64_t row = strip.rows.first;
    ATTN_RETURN_IF_ERROR(gemm_.Multiply(
        shape, scores_ + row * tile_keys_ + strip.column,
        value.data + strip.column * value.stride, accumulated_ + row * dim,
        /*accumulate=*/true));
  }
  return absl::OkStatus();
}

// The same for a tile that holds NaN or infinity: a product would multiply them
// by the weight 0 of keys that a row must not see.
void RowTile::WeighAllowedValues(const Member& member, const ValueTile& values,
                                 int64_t first_key, int64_t num_keys) {
  const int64_t dim = p_.value.dim;
  for (int64_t r = member.first; r < member.last(); ++r) {
    float* row = accumulated_ + r * dim;
    for (int64_t j = 0; j < num_keys; ++j) {
      if (!member.stage.IsAllowed(ranges_[r], r - member.first,
                                  first_key + j)) {
        continue;
      }
      const float weight = scores_[r * tile_keys_ + j];
      const float* value = values.data + j * values.stride;
      for (int64_t d = 0; d < dim; ++d) row[d] += weight * value[d];
    }
  }
}

void RowTile::Rescale() {
  const int64_t dim = p_.value.dim;
  for (int64_t r = 0; r < num_rows(); ++r) {
    if (rescale_[r] != 1.0f) {
      ScaleRow(accumulated_ + r * dim, dim, rescale_[r]);
    }
  }
}

// The denominator is the sum over keys plus the sink's share.
void RowTile::Normalise(const Member& member) {
  for (int64_t r = member.first; r < member.last(); ++r) {
    if (sum_[r] == 0) {  // No allowed key. NaN is not equal to 0.
      norm_[r] = 0;
      lse_[r] = -INFINITY;
      continue;
    }
    const float* sinks = member.p.sinks;
    const double sink =
        sinks == nullptr ? -INFINITY : sinks[member.HeadOf(r)] * kLog4E;
    const double max = std::max<double>(max_[r], sink);
    const double keys_share = Exp4(max_[r] - max);
    const double total = sum_[r] * keys_share + Exp4(sink - max);
    norm_[r] = static_cast<float>(keys_share / total);
    lse_[r] = static_cast<float>(max * kLn4 + std::log(total));
  }
}

void RowTile::WriteRows(const Member& member) {
  const Problem& p = member.p;
  const int64_t dim = p.value.dim;
  for (int64_t r = member.first; r < member.last(); ++r) {
    const int64_t head = member.HeadOf(r);
    const int64_t row = member.RowOf(r);
    float* output = accumulated_ + r * dim;
    // Selected, not multiplied: what was accumulated may be NaN.
    if (sum_[r] == 0) {
      std::fill(output, output + dim, 0.0f);
    } else {
      ScaleRow(output, dim, norm_[r]);
    }
    ConvertFromF32(output, dim, p.output.dtype, p.output.Row(head, row));
    if (p.lse.data != nullptr) *p.lse.Row(head, row) = lse_[r];
  }
}

// A second walk, with the final maximum and denominator known.
absl::Status RowTile::WalkAgain(const KeyRange& keys) {
  return ForEachTile(keys, [this](int64_t key, int64_t num_keys) {
    const Strips whole = {{.num_keys = num_keys, .rows = {0, num_rows()}}};
    ATTN_RETURN_IF_ERROR(Score(key, num_keys, whole));
    for (int64_t r = 0; r < num_rows(); ++r) FinishRow(r, key, num_keys);
    return absl::OkStatus();
  });
}

// Scores of row r from raw to the wanted weights, and further on to logits for
// the top keys.
void RowTile::FinishRow(int64_t r, int64_t first_key, int64_t num_keys) {
  float* scores = scores_ + r * tile_keys_;
  const auto write_at = [&](WeightsMode mode) {
    if (p_.weights.data == nullptr || p_.weights_mode != mode) return;
    std::copy(scores, scores + num_keys,
              p_.weights.Row(front().HeadOf(r), front().RowOf(r)) + first_key);
  };
  const ScoreStage& stage = front().stage;
  write_at(WeightsMode::kRawScores);
  stage.Cap(scores, num_keys);
  write_at(WeightsMode::kSoftcapped);
  stage.BiasRow(ranges_[r], r, first_key, num_keys, scores);
  write_at(WeightsMode::kBiased);
  if (top_ == nullptr && p_.weights_mode != WeightsMode::kProbabilities) return;
  if (stage.is_natural()) ToLog4Row(scores, num_keys);
  if (top_ != nullptr) top_[r].Offer(scores, num_keys, first_key);
  ProbabilitiesRow(scores, num_keys, FiniteMax(r), norm_[r]);
  write_at(WeightsMode::kProbabilities);
}

// -inf minus -inf must not arise.
float RowTile::FiniteMax(int64_t r) const {
  return std::isinf(max_[r]) ? 0.0f : max_[r];
}

void RowTile::WriteTop() {
  const int64_t k = p_.top.top_k;
  for (int64_t r = 0; r < num_rows(); ++r) {
    const int64_t place = p_.top.Place(front().HeadOf(r), front().RowOf(r));
    float* scores = top_[r].Finish();
    ProbabilitiesRow(scores, k, FiniteMax(r), norm_[r]);
    std::copy(scores, scores + k, p_.top.probabilities + place);
    std::copy(top_[r].keys(), top_[r].keys() + k, p_.top.indices + place);
  }
}

}  // namespace attn
