// A context on several servers: a SplitContext keeps a part of the keys and
// values on each, asks all of them at once and merges their answers. Keeps the
// whole on the first server too, and compares, after a prompt and after some
// decode steps.
//   split_context --addresses HOST:PORT,HOST:PORT[,HOST:PORT...]
// Exit code 0: equal within 2e-6; 1: not, or a call failed; 2: usage.
#include "client/cpp/split_context.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "client/cpp/client.h"
#include "client/cpp/error_details.h"

namespace {

using attn::client::AttendRequest;
using attn::client::Client;
using attn::client::SplitContext;
using attn::client::Tensor;
using Clock = std::chrono::steady_clock;

constexpr int64_t kPrompt = 4096;
constexpr int64_t kRows = 64;  // Of the prompt that are asked.
constexpr int kSteps = 8;
constexpr double kTolerance = 2e-6;

// Eight heads on two KV heads.
const attn::client::SessionSpec kSpec = {.num_kv_heads = 2, .head_dim = 64};

Tensor RandomTensor(int64_t heads, int64_t tokens, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(heads * tokens * 64);
  std::generate(values.begin(), values.end(), [&] { return normal(random); });
  return Tensor::FromFloats(values, {1, heads, tokens, 64}).value();
}

// The largest difference, as a part of the largest number or of 1: the values
// that are weighed are around 1, and their rounding is what is left where a
// mean of thousands of them is near 0.
double Difference(const Tensor& found, const Tensor& expected) {
  const std::vector<float> a = found.ToFloats().value();
  const std::vector<float> b = expected.ToFloats().value();
  double difference = 0;
  double magnitude = 1;
  for (size_t i = 0; i < b.size(); ++i) {
    if (!std::isfinite(a[i])) {
      return HUGE_VAL;  // NaN would be lost in std::max.
    }
    difference = std::max(difference, std::fabs(double{a[i]} - b[i]));
    magnitude = std::max(magnitude, std::fabs(double{b[i]}));
  }
  return difference / magnitude;
}

// The same tokens in both, and how far their answers were apart.
class Comparison {
 public:
  Comparison(SplitContext& context, Client& client, std::string session_id)
      : context_(context),
        client_(client),
        session_id_(std::move(session_id)) {}

  // Appends `tokens` random ones and asks the last `rows` of them; the last row
  // sees the last token.
  absl::Status Extend(int64_t tokens, int64_t rows) {
    const Tensor key = RandomTensor(2, tokens, random_);
    const Tensor value = RandomTensor(2, tokens, random_);
    AttendRequest request;
    request.query = RandomTensor(8, rows, random_);
    request.params.causal = attn::client::Causal::kBottomRight;
    request.params.sinks.assign(8, 1.0F);
    absl::Status status = context_.Append(key, value).status();
    status.Update(client_
                      .AppendKv({.session = {.session_id = session_id_},
                                 .key = key,
                                 .value = value})
                      .status());
    if (!status.ok()) {
      return status;
    }
    const auto start = Clock::now();
    const auto merged = context_.Attend(request);
    seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
    request.session = attn::client::SessionRef{.session_id = session_id_};
    request.output.return_lse = true;
    const auto whole = client_.Attend(request);
    status.Update(merged.status());
    status.Update(whole.status());
    if (status.ok()) {
      difference_ =
          std::max({difference_, Difference(merged->output, whole->output),
                    Difference(merged->lse, whole->lse)});
    }
    return status;
  }

  double difference() const { return difference_; }
  double seconds() const { return seconds_; }

 private:
  SplitContext& context_;
  Client& client_;
  const std::string session_id_;
  std::mt19937_64 random_{1};
  double difference_ = 0;
  double seconds_ = 0;
};

std::vector<std::unique_ptr<Client>> Connect(const std::string& addresses) {
  std::vector<std::unique_ptr<Client>> clients;
  std::istringstream stream(addresses);
  for (std::string address; std::getline(stream, address, ',');) {
    auto client = Client::Create({.address = address});
    if (!client.ok()) {
      std::puts(attn::client::DescribeError(client.status()).c_str());
      return {};
    }
    clients.push_back(*std::move(client));
  }
  return clients;
}

absl::Status Compare(const std::vector<std::unique_ptr<Client>>& clients,
                     double& difference) {
  std::vector<Client*> borrowed;
  borrowed.reserve(clients.size());
  for (const auto& client : clients) {
    borrowed.push_back(client.get());
  }
  // The last server gets what the prompt leaves over, and the steps.
  const auto part = static_cast<int64_t>(kPrompt / clients.size());
  auto context = SplitContext::Create(borrowed, part, kSpec);
  if (!context.ok()) {
    return context.status();
  }
  const auto whole = clients.front()->CreateSession(kSpec);
  if (!whole.ok()) {
    return whole.status();
  }
  Comparison comparison(**context, *clients.front(), whole->session_id);
  absl::Status status = comparison.Extend(kPrompt, kRows);
  for (int step = 0; step < kSteps && status.ok(); ++step) {
    status = comparison.Extend(1, 1);
  }
  status.Update(clients.front()->DeleteSession(whole->session_id));
  difference = comparison.difference();
  std::printf(
      "%zu parts of %d keys, then %d steps: largest difference %.2g of "
      "values around 1; %.1f ms for all answers\n",
      clients.size(), static_cast<int>(kPrompt), kSteps, difference,
      1e3 * comparison.seconds());
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string addresses = argc == 3 ? argv[2] : "";
  if (addresses.find(',') == std::string::npos ||
      std::string(argv[1]) != "--addresses") {
    std::puts("usage: split_context --addresses HOST:PORT,HOST:PORT[,...]");
    return 2;
  }
  const auto clients = Connect(addresses);
  double difference = HUGE_VAL;
  const absl::Status status = clients.empty() ? absl::UnknownError("no client")
                                              : Compare(clients, difference);
  if (!status.ok()) {
    std::puts(attn::client::DescribeError(status).c_str());
    return 1;
  }
  return difference <= kTolerance ? 0 : 1;
}
