// Which parts of a request a problem sees. The reference kernel runs on
// problems too, so what goes wrong here conformance cannot see.
#include "core/attention/problem.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/core/attention/validation_rule.h"

namespace attn::test {
namespace {

using testing::ElementsAre;

// The problem of sequence 1 and KV head 1, with where its views begin.
struct Seen {
  explicit Seen(const CaseOptions& options)
      : made(MakeCase(options)), outputs(made.plan), buffers(made.Inputs()) {
    outputs.AddTo(buffers);
    problem = MakeProblem(made.plan, buffers, 1, 1);
  }

  // Elements from the start of the tensor.
  static int64_t Place(const std::byte* at, const std::byte* start,
                       DataType dtype) {
    return (at - start) / ElementBytes(dtype);
  }
  int64_t Query(int64_t head, int64_t row) const {
    return Place(problem.query.Row(head, row), buffers.query, made.plan.dtype);
  }
  int64_t Key(int64_t row) const {
    return Place(problem.key.Row(0, row), buffers.key, made.plan.dtype);
  }
  int64_t Value(int64_t row) const {
    return Place(problem.value.Row(0, row), buffers.value, made.plan.dtype);
  }
  int64_t Output(int64_t head, int64_t row) const {
    return Place(problem.output.Row(head, row), buffers.output,
                 made.plan.output_dtype);
  }

  AttentionCase made;
  AttentionOutputs outputs;
  RequestBuffers buffers;
  Problem problem;
};

TEST(ProblemTest, RowsOfBhsdAreFound) {
  const Seen seen(ValidOptions());
  // Sequence 1, head 2 + 1, row 2 of [2, 4, 3, 8].
  EXPECT_EQ(seen.Query(1, 2), ((1 * 4 + 3) * 3 + 2) * 8);
  EXPECT_EQ(seen.Key(4), ((1 * 2 + 1) * 5 + 4) * 8);
  EXPECT_EQ(seen.Value(4), ((1 * 2 + 1) * 5 + 4) * 6);
  EXPECT_EQ(seen.Output(1, 2), ((1 * 4 + 3) * 3 + 2) * 6);
}

TEST(ProblemTest, RowsOfBshdAndBseAreFound) {
  for (const Layout layout : {Layout::kBSHD, Layout::kBSE}) {
    CaseOptions options = ValidOptions();
    options.layout = layout;
    const Seen seen(options);
    // Sequence 1, row 2, head 3 of [2, 3, 4, 8].
    EXPECT_EQ(seen.Query(1, 2), ((1 * 3 + 2) * 4 + 3) * 8);
    EXPECT_EQ(seen.Key(4), ((1 * 5 + 4) * 2 + 1) * 8);
    EXPECT_EQ(seen.Value(4), ((1 * 5 + 4) * 2 + 1) * 6);
    EXPECT_EQ(seen.Output(1, 2), ((1 * 3 + 2) * 4 + 3) * 6);
  }
}

TEST(ProblemTest, OutputRowsAreOfTheOutputsDtype) {
  CaseOptions options = ValidOptions();
  options.output.dtype = DataType::kF64;
  const Seen seen(options);
  EXPECT_EQ(seen.problem.output.dtype, DataType::kF64);
  EXPECT_EQ(seen.problem.query.dtype, DataType::kF32);
  EXPECT_EQ(seen.Output(0, 1), ((1 * 4 + 2) * 3 + 1) * 6);
}

TEST(ProblemTest, ResultsLieInTheOrderOfTheContract) {
  CaseOptions options = ValidOptions();
  options.layout = Layout::kBSHD;
  options.output.return_lse = true;
  options.output.weights = WeightsMode::kBiased;
  options.output.top_k = 7;
  const Seen seen(options);
  const Problem& p = seen.problem;
  const int64_t row = (1 * 4 + 3) * 3 + 2;
  EXPECT_EQ(p.lse.Row(1, 2), reinterpret_cast<float*>(seen.buffers.lse) + row);
  EXPECT_EQ(p.weights.Row(1, 2),
            reinterpret_cast<float*>(seen.buffers.weights) + row * 5);
  EXPECT_EQ(p.top.indices + p.top.Place(1, 2),
            reinterpret_cast<int32_t*>(seen.buffers.top_indices) + row * 7);
  EXPECT_EQ(p.top.probabilities + p.top.Place(1, 2),
            reinterpret_cast<float*>(seen.buffers.top_probabilities) + row * 7);
  EXPECT_EQ(p.weights_mode, WeightsMode::kBiased);
}

// 0 1 2 3 4 5: rows 0, 0, 1, 1, 2, 2 of heads 0, 1, 0, 1, 0, 1.
TEST(ProblemTest, FoldedRowsGoThroughTheHeadsFirst) {
  const Seen seen(ValidOptions());
  std::vector<int64_t> heads, rows;
  for (int64_t r = 0; r < seen.problem.num_rows(); ++r) {
    heads.push_back(seen.problem.HeadOf(r));
    rows.push_back(seen.problem.RowOf(r));
  }
  EXPECT_THAT(heads, ElementsAre(0, 1, 0, 1, 0, 1));
  EXPECT_THAT(rows, ElementsAre(0, 0, 1, 1, 2, 2));
}

TEST(ProblemTest, SlopesAndSinksAreThoseOfTheGroup) {
  CaseOptions options = ValidOptions();
  options.params.alibi_slopes = {1, 2, 3, 4};
  options.params.sinks = {5, 6, 7, 8};
  const Seen seen(options);
  EXPECT_EQ(seen.problem.alibi_slopes[0], 3);
  EXPECT_EQ(seen.problem.alibi_slopes[1], 4);
  EXPECT_EQ(seen.problem.sinks[0], 7);
  EXPECT_EQ(seen.problem.sinks[1], 8);
}

int64_t KvLimit(const CaseOptions& options) {
  return Seen(options).problem.structure.kv_limit;
}

TEST(ProblemTest, KeysEndWhereKvLengthsAndTheMaskEnd) {
  CaseOptions options = ValidOptions();
  EXPECT_EQ(KvLimit(options), 5);
  options.kv_lengths = {2, 4};
  EXPECT_EQ(KvLimit(options), 4);
  options.has_mask = true;
  options.mask_dims = {3, 3};  // Two keys short.
  EXPECT_EQ(KvLimit(options), 3);
  options.kv_lengths = {5, 2};
  EXPECT_EQ(KvLimit(options), 2);
  options.kv_lengths.clear();
  EXPECT_EQ(KvLimit(options), 3);
  options.mask_dims = {3, 1};  // Broadcast, not short.
  EXPECT_EQ(KvLimit(options), 5);
}

TEST(ProblemTest, StructureIsThatOfTheSequence) {
  CaseOptions options = ValidOptions();
  options.params.causal = CausalMode::kBottomRight;
  options.params.left_window = 2;
  options.params.right_window = 1;
  options.kv_lengths = {5, 4};
  const KeyStructure structure = Seen(options).problem.structure;
  EXPECT_TRUE(structure.is_causal);
  EXPECT_EQ(structure.offset, 4 - 3);
  EXPECT_EQ(structure.left_window, 2);
  EXPECT_EQ(structure.right_window, 1);
}

// Elements from the start of the mask to (head, row) of the group.
int64_t MaskPlace(const std::vector<int64_t>& dims, DataType dtype,
                  int64_t head, int64_t row) {
  CaseOptions options = ValidOptions();
  options.has_mask = true;
  options.mask_dtype = dtype;
  options.mask_dims = dims;
  const Seen seen(options);
  return Seen::Place(seen.problem.mask.Row(head, row), seen.buffers.mask,
                     dtype);
}

TEST(ProblemTest, MaskRowsAreFoundWhereItIsFullAndWhereItIsBroadcast) {
  for (const DataType dtype : {DataType::kBool, DataType::kF32}) {
    EXPECT_EQ(MaskPlace({2, 4, 3, 5}, dtype, 1, 2), ((4 + 3) * 3 + 2) * 5);
    EXPECT_EQ(MaskPlace({2, 1, 3, 5}, dtype, 1, 2), (3 + 2) * 5);
    EXPECT_EQ(MaskPlace({1, 4, 3, 5}, dtype, 1, 2), (3 * 3 + 2) * 5);
    EXPECT_EQ(MaskPlace({4, 1, 5}, dtype, 1, 2), 3 * 5);
    EXPECT_EQ(MaskPlace({3, 5}, dtype, 1, 2), 2 * 5);
    EXPECT_EQ(MaskPlace({5}, dtype, 1, 2), 0);
    EXPECT_EQ(MaskPlace({3, 4}, dtype, 1, 2), 2 * 4);
  }
}

TEST(ProblemTest, WhatIsNotWantedIsNull) {
  const Seen seen(ValidOptions());
  EXPECT_EQ(seen.problem.lse.data, nullptr);
  EXPECT_EQ(seen.problem.weights.data, nullptr);
  EXPECT_EQ(seen.problem.top.top_k, 0);
  EXPECT_EQ(seen.problem.mask.data, nullptr);
  EXPECT_EQ(seen.problem.alibi_slopes, nullptr);
  EXPECT_EQ(seen.problem.sinks, nullptr);
  EXPECT_FALSE(seen.problem.query_rotation.is_on());
  EXPECT_FALSE(seen.problem.key_rotation.is_on());
}

TEST(ProblemTest, RotationTurnsBothSides) {
  CaseOptions options = ValidOptions();
  options.params.rope = RopeParams{.base = 10000};
  const Seen seen(options);
  EXPECT_EQ(seen.problem.query_rotation.cos, seen.made.query_rotation.data());
  EXPECT_EQ(seen.problem.key_rotation.cos, seen.made.key_rotation.data());
}

}  // namespace
}  // namespace attn::test
