// Decodes with a small transformer whose attention is the service's: a prompt
// at once, then token by token. A session keeps keys and values, so a step
// sends one token. Each step is compared with the whole computed here in f64.
//   tiny_decoder [HOST:PORT [TOKENS]]
// Exit code 0: every step within 1e-4 of the largest element; 1: not, or a call
// failed; 2: usage.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "client/cpp/client.h"
#include "client/cpp/error_details.h"
#include "client/examples/decode/recomputation.h"
#include "client/examples/decode/session_attention.h"

namespace {

using tiny_decoder::Matrix;
using tiny_decoder::SessionAttention;
using tiny_decoder::Transformer;

constexpr double kTolerance = 1e-4;

// The last layer's rows for `tokens`, which follow on `length` earlier ones.
absl::StatusOr<Matrix> Decode(const Transformer& model, uint64_t length,
                              const std::vector<uint32_t>& tokens,
                              SessionAttention& attention) {
  Matrix rows = model.Embed(tokens);
  for (uint32_t layer = 0; layer < model.shape().layers; ++layer) {
    const absl::StatusOr<Matrix> attended =
        attention.Attend(layer, length, model.Project(layer, rows));
    if (!attended.ok()) {
      return attended.status();
    }
    model.Finish(layer, *attended, rows);
  }
  return rows;
}

Matrix LastRow(const Matrix& rows) {
  return {1,
          rows.columns,
          {rows.row(rows.rows - 1), rows.row(rows.rows - 1) + rows.columns}};
}

// Decodes `steps` tokens after the prompt; the largest error of all steps.
absl::StatusOr<double> Run(const Transformer& model, int steps,
                           SessionAttention& attention) {
  std::vector<uint32_t> tokens = {3, 14, 15, 9, 26};
  std::vector<uint32_t> fresh = tokens;  // Not in the session yet.
  double worst = 0;
  for (int step = 0; step <= steps; ++step) {
    const uint64_t length = tokens.size() - fresh.size();
    const absl::StatusOr<Matrix> rows = Decode(model, length, fresh, attention);
    if (!rows.ok()) {
      return rows.status();
    }
    const Matrix whole = tiny_decoder::Recompute(model, tokens);
    const double error = RelativeError(LastRow(*rows), LastRow(whole));
    worst = std::max(worst, error);
    fresh = {model.NextToken(*rows)};
    std::printf("%4zu tokens, sent %zu: next %2u, error %.1e\n", tokens.size(),
                tokens.size() - length, fresh.front(), error);
    tokens.push_back(fresh.front());
  }
  return worst;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "tiny_decoder: %s\n",
               attn::client::DescribeError(status).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const int steps = argc > 2 ? std::atoi(argv[2]) : 32;
  if (argc > 3 || steps < 1) {
    std::fputs("usage: tiny_decoder [HOST:PORT [TOKENS]]\n", stderr);
    return 2;
  }
  auto client = attn::client::Client::Create(
      {.address = argc > 1 ? argv[1] : "127.0.0.1:8001"});
  if (!client.ok()) {
    return Fail(client.status());
  }
  const Transformer model({}, 1);
  const auto attention = SessionAttention::Create(model.shape(), **client);
  if (!attention.ok()) {
    return Fail(attention.status());
  }
  const absl::StatusOr<double> worst = Run(model, steps, **attention);
  if (!worst.ok()) {
    return Fail(worst.status());
  }
  std::printf("max error %.1e of the largest element, allowed %.0e\n", *worst,
              kTolerance);
  return *worst <= kTolerance ? 0 : 1;
}
