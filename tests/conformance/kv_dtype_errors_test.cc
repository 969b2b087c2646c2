// What each KV dtype costs: how far a session's answers are off because of the
// form in which it keeps keys and values, printed as the table of
// tests/README.md.
//
// A session gets 530 tokens (8 full pages and 18 tokens) and then answers 16
// more rows, as a decoder would ask them; queries and keys are turned by rope.
// No trained model is here to take keys and values from. What stands in:
//   Gaussian          all tensors normal.
//   outlier channels  the same, but 4 of 128 channels of the keys are 10 times
//                     as large and off-centre, as in the caches of trained
//                     models (Hooper et al., "KVQuant"; Liu et al., "KIVI").
//   random decoder    the last layer's projections of the decoder of
//                     client/examples/decode (random weights, random tokens).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "client/examples/decode/recomputation.h"
#include "client/examples/decode/transformer.h"
#include "core/attention/reference_kernel.h"
#include "gtest/gtest.h"
#include "tests/support/session_runner.h"

namespace attn::test {
namespace {

constexpr int64_t kHistory = 530;
constexpr int64_t kRows = 16;
constexpr int64_t kLength = kHistory + kRows;

AttentionCase CausalCase(int64_t num_q_heads, int64_t head_dim) {
  CaseOptions options;
  options.num_q_heads = num_q_heads;
  options.q_len = options.kv_len = kLength;
  options.head_dim = options.value_head_dim = head_dim;
  options.params.causal = CausalMode::kTopLeft;
  options.params.rope = RopeParams{.base = 10000};
  return MakeCase(options);
}

AttentionCase Gaussian() { return CausalCase(8, 128); }

AttentionCase WithOutlierChannels() {
  AttentionCase made = Gaussian();
  auto* keys = reinterpret_cast<float*>(made.key.data());
  const int64_t dim = made.plan.geometry.head_dim;
  for (int64_t row = 0; row < std::ssize(made.key) / 4 / dim; ++row) {
    for (const int64_t channel : {5, 44, 77, 120}) {
      float& x = keys[row * dim + channel];
      x = 10 * (x + 1);
    }
  }
  return made;
}

// rows: [kLength, heads * dim], to [heads, kLength, dim].
void CopyHeads(const tiny_decoder::Matrix& rows, int64_t dim,
               std::vector<std::byte>& to) {
  auto* next = reinterpret_cast<float*>(to.data());
  const auto columns = static_cast<int64_t>(rows.columns);
  for (int64_t head = 0; head < columns / dim; ++head) {
    for (int64_t row = 0; row < kLength; ++row) {
      const double* from = rows.row(static_cast<size_t>(row)) + head * dim;
      for (int64_t d = 0; d < dim; ++d) *next++ = static_cast<float>(from[d]);
    }
  }
}

AttentionCase OfRandomDecoder() {
  const tiny_decoder::ModelShape shape{.head_dim = 32};
  const tiny_decoder::Transformer model(shape, /*seed=*/1);
  Random random(3);
  std::vector<uint32_t> tokens(kLength);
  for (uint32_t& token : tokens) {
    token = static_cast<uint32_t>(random.Between(0, shape.vocabulary - 1));
  }
  tiny_decoder::Matrix rows = model.Embed(tokens);
  for (uint32_t layer = 0; layer + 1 < shape.layers; ++layer) {
    model.Finish(layer, CausalAttention(shape, model.Project(layer, rows)),
                 rows);
  }
  const auto projected = model.Project(shape.layers - 1, rows);
  AttentionCase made = CausalCase(shape.q_heads, shape.head_dim);
  CopyHeads(projected.query, shape.head_dim, made.query);
  CopyHeads(projected.key, shape.head_dim, made.key);
  CopyHeads(projected.value, shape.head_dim, made.value);
  return made;
}

// Rows [kHistory, kLength) of every head, by the formula in f64 and from the
// tensors as they were sent: [num_q_heads, kRows, dim].
std::vector<double> ExpectedRows(const AttentionCase& c) {
  AttentionOutputs unused(c.plan);
  RequestBuffers buffers = c.Inputs();
  unused.AddTo(buffers);
  const Geometry& g = c.plan.geometry;
  std::vector<double> rows;
  for (int64_t kv_head = 0; kv_head < g.num_kv_heads; ++kv_head) {
    const std::vector<double> all =
        AttendReference(MakeProblem(c.plan, buffers, 0, kv_head)).output;
    for (int64_t head = 0; head < g.group_size(); ++head) {
      const auto start =
          all.begin() + (head * kLength + kHistory) * g.value_head_dim;
      rows.insert(rows.end(), start, start + kRows * g.value_head_dim);
    }
  }
  return rows;
}

// Both over the root mean square of the output.
struct Error {
  double root_mean_square = 0;
  double largest = 0;
};

Error Compare(const std::vector<float>& found,
              const std::vector<double>& expected) {
  double squares = 0, size = 0, largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double error = double{found[i]} - expected[i];
    squares += error * error;
    size += expected[i] * expected[i];
    largest = std::max(largest, std::fabs(error));
  }
  const auto count = static_cast<double>(expected.size());
  return {std::sqrt(squares / size), largest / std::sqrt(size / count)};
}

Error ErrorOf(const AttentionCase& whole, KvDtype dtype,
              const std::vector<double>& expected) {
  SessionRunner runner;
  const SessionPtr session = runner.Create(whole, dtype);
  EXPECT_TRUE(runner.Append(*session, CutTokens(whole, 0, kHistory), {}).ok());
  const auto answer =
      runner.Attend(*session, CutTokens(whole, kHistory, kRows), {});
  EXPECT_TRUE(answer.ok()) << answer.status();
  if (!answer.ok()) return {};
  return Compare(ToFloats(DataType::kF32, answer->output), expected);
}

struct Column {
  KvDtype dtype;
  double most;  // Root mean square that answers are held to.
};

// BF16 and F16 keep 8 and 11 bits of each number; int8 half of 1/127 of the
// largest in a row, of which the others are a third or a tenth.
constexpr Column kColumns[] = {{KvDtype::kF32, 1e-5},
                               {KvDtype::kF16, 2e-3},
                               {KvDtype::kBF16, 2e-2},
                               {KvDtype::kInt8, 4e-2}};

TEST(KvDtypeErrorsTest, StayBelowWhatIsPromised) {
  const std::pair<const char*, AttentionCase> data[] = {
      {"Gaussian", Gaussian()},
      {"outlier channels", WithOutlierChannels()},
      {"random decoder", OfRandomDecoder()}};
  std::printf("| keys and values | F32 | F16 | BF16 | INT8 |\n");
  std::printf("|---|---|---|---|---|\n");
  for (const auto& [name, whole] : data) {
    std::printf("| %s |", name);
    const std::vector<double> expected = ExpectedRows(whole);
    for (const Column& column : kColumns) {
      const Error error = ErrorOf(whole, column.dtype, expected);
      EXPECT_LE(error.root_mean_square, column.most) << name;
      std::printf(" %.1e, %.1e |", error.root_mean_square, error.largest);
    }
    std::printf("\n");
  }
}

}  // namespace
}  // namespace attn::test
