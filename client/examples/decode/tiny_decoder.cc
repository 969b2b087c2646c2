// Decodes with a small transformer whose attention the service computes: the
// prompt at once, then token by token. A session keeps keys and values, so that
// a step sends one token, however many there are. What each step gets is
// compared with all tokens computed here, in f64.
//   transformer.h        the model, but for its attention
//   session_attention.h  its attention by the service: what to look at first
//   recomputation.h      its attention by the formula
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

// f32 leaves 2e-7; a rope base that is wrong by 1 % makes 2e-3 of it.
constexpr double kTolerance = 1e-4;

// The rows that leave the last layer for `tokens`, which come after the
// `length` that the session has.
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

// Decodes the prompt and then `steps` tokens, one line each; the largest error.
absl::StatusOr<double> Run(const Transformer& model, int steps,
                           SessionAttention& attention) {
  std::vector<uint32_t> tokens = {3, 14, 15, 9, 26};  // The prompt.
  std::vector<uint32_t> fresh = tokens;  // Those that the session has not yet.
  double worst = 0;
  for (int step = 0; step <= steps; ++step) {
    const uint64_t length = tokens.size() - fresh.size();
    const absl::StatusOr<Matrix> rows = Decode(model, length, fresh, attention);
    if (!rows.ok()) {
      return rows.status();
    }
    const Matrix expected = LastRows(Recompute(model, tokens), fresh.size());
    const double error = RelativeError(*rows, expected);
    worst = std::max(worst, error);
    const uint32_t next = model.NextToken(*rows);
    std::printf("%4zu tokens, sent %zu: next %2u, error %.1e\n", tokens.size(),
                fresh.size(), next, error);
    fresh = {next};
    tokens.push_back(next);
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
