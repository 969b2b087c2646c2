#include "core/attention/kernel_choice.h"

#include <string>
#include <vector>

#include "core/attention/decode_kernel.h"
#include "core/attention/f64_kernel.h"
#include "core/attention/prefill_kernel.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"

namespace attn::test {
namespace {

// One KV head with `group` query heads.
CaseOptions Sized(int64_t group, int64_t q_len) {
  CaseOptions options;
  options.num_q_heads = group;
  options.num_kv_heads = 1;
  options.q_len = q_len;
  options.kv_len = 100;
  return options;
}

KernelChoice ChoiceFor(const CaseOptions& options) {
  return ChooseKernel(MakeCase(options).plan);
}

TEST(KernelChoiceTest, UpTo16FoldedRowsAreForTheSmallQKernel) {
  for (const auto& [group, q_len] :
       {std::pair{1, 1}, {16, 1}, {1, 16}, {4, 4}, {5, 3}, {1, 0}}) {
    const KernelChoice choice = ChoiceFor(Sized(group, q_len));
    EXPECT_EQ(choice.kind, KernelKind::kDecode) << group << "*" << q_len;
    EXPECT_EQ(choice.tile.rows, 16);
    EXPECT_EQ(choice.tile.keys, 64);
  }
}

TEST(KernelChoiceTest, From17FoldedRowsTilesGoThroughTheMatrixLibrary) {
  for (const auto& [group, q_len] :
       {std::pair{17, 1}, {1, 17}, {6, 3}, {2, 9}, {8, 100}}) {
    const KernelChoice choice = ChoiceFor(Sized(group, q_len));
    EXPECT_EQ(choice.kind, KernelKind::kPrefill) << group << "*" << q_len;
    const TileShape tile = ChooseTileShape(group * q_len, 100, 16, 16);
    EXPECT_EQ(choice.tile.rows, tile.rows);
    EXPECT_EQ(choice.tile.keys, tile.keys);
  }
}

TEST(KernelChoiceTest, OtherHeadGroupsAndSequencesDoNotCount) {
  CaseOptions options = Sized(4, 4);
  options.batch_size = 5;
  options.num_q_heads = 12;
  options.num_kv_heads = 3;
  EXPECT_EQ(ChoiceFor(options).kind, KernelKind::kDecode);
}

TEST(KernelChoiceTest, F64HasItsOwnKernelAtEverySize) {
  for (const int64_t q_len : {1, 16, 17, 500}) {
    CaseOptions options = Sized(1, q_len);
    options.dtype = DataType::kF64;
    const KernelChoice choice = ChoiceFor(options);
    EXPECT_EQ(choice.kind, KernelKind::kF64);
    EXPECT_EQ(choice.tile.rows, kF64Rows);
  }
}

TEST(KernelChoiceTest, NarrowDtypesAndF64OutputStayInF32) {
  for (const DataType dtype :
       {DataType::kF32, DataType::kF16, DataType::kBF16}) {
    CaseOptions options = Sized(1, 1);
    options.dtype = dtype;
    options.output.dtype = DataType::kF64;
    EXPECT_EQ(ChoiceFor(options).kind, KernelKind::kDecode);
    options.q_len = 100;
    EXPECT_EQ(ChoiceFor(options).kind, KernelKind::kPrefill);
  }
}

// A matrix library that fails, so that it shows who calls it.
class BrokenGemm final : public TileGemm {
 public:
  absl::Status Multiply(const GemmShape& /*shape*/, const float* /*a*/,
                        const float* /*b*/, float* /*c*/,
                        bool /*accumulate*/) const override {
    return absl::InternalError("broken");
  }
  std::string Description() const override { return "broken"; }
  std::string ChosenIsa() const override { return "none"; }
};

absl::Status Attend(const CaseOptions& options) {
  const AttentionCase made = MakeCase(options);
  AttentionOutputs outputs(made.plan);
  RequestBuffers buffers = made.Inputs();
  outputs.AddTo(buffers);
  const KernelChoice choice = ChooseKernel(made.plan);
  const Problem problem = MakeProblem(made.plan, buffers, 0, 0);
  ScratchArena arena;
  const RowRange rows{0, std::min(problem.num_rows(), choice.tile.rows)};
  return AttendRows(choice, problem, rows, BrokenGemm(), arena);
}

TEST(KernelChoiceTest, OnlyTheLargeKernelNeedsTheMatrixLibrary) {
  EXPECT_TRUE(Attend(Sized(1, 16)).ok());
  EXPECT_EQ(Attend(Sized(1, 17)).code(), absl::StatusCode::kInternal);
  CaseOptions options = Sized(1, 17);
  options.dtype = DataType::kF64;
  EXPECT_TRUE(Attend(options).ok());
}

// The work item is a row range of its own; what it computes is the whole's.
TEST(DecodeKernelTest, RowAloneHasTheBitsItHasAmongOthers) {
  CaseOptions options = Sized(4, 4);
  options.kv_len = 333;
  options.head_dim = 40;
  options.output.return_lse = true;
  const AttentionCase made = MakeCase(options);
  AttentionOutputs together(made.plan);
  AttentionOutputs alone(made.plan);
  ScratchArena arena;
  RequestBuffers buffers = made.Inputs();
  together.AddTo(buffers);
  Problem problem = MakeProblem(made.plan, buffers, 0, 0);
  ASSERT_TRUE(AttendDecode({{&problem, {0, 16}}}, arena).ok());
  alone.AddTo(buffers);
  problem = MakeProblem(made.plan, buffers, 0, 0);
  for (int64_t row = 0; row < 16; ++row) {
    ASSERT_TRUE(AttendDecode({{&problem, {row, row + 1}}}, arena).ok());
  }
  EXPECT_TRUE(alone == together);
}

}  // namespace
}  // namespace attn::test
