// A context on several servers: each has a part of the keys and values and
// answers over it, and the client merges the answers into that of the whole.
// Sends the whole to the first server too, and compares.
//   split_context --addresses HOST:PORT,HOST:PORT[,HOST:PORT...]
// Exit code 0: equal within 2e-6 of the largest output; 1: not, or a call
// failed; 2: usage.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <future>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "client/cpp/client.h"
#include "client/cpp/error_details.h"
#include "client/cpp/merge.h"

namespace {

using attn::client::AttendRequest;
using attn::client::AttendResponse;
using attn::client::Client;
using attn::client::PartialAnswer;
using attn::client::Shape;
using attn::client::Tensor;
using Clock = std::chrono::steady_clock;

constexpr int64_t kQLen = 64;
constexpr int64_t kKvLen = 4096;
constexpr double kTolerance = 2e-6;

Tensor RandomTensor(const Shape& shape, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(attn::client::NumElements(shape).value());
  std::generate(values.begin(), values.end(), [&] { return normal(random); });
  return Tensor::FromFloats(values, shape).value();
}

// Eight heads on two KV heads; the last of kQLen new rows sees every key.
AttendRequest WholeRequest() {
  std::mt19937_64 random(1);
  AttendRequest whole;
  whole.query = RandomTensor({1, 8, kQLen, 64}, random);
  whole.key = RandomTensor({1, 2, kKvLen, 64}, random);
  whole.value = RandomTensor({1, 2, kKvLen, 64}, random);
  whole.params.causal = attn::client::Causal::kBottomRight;
  whole.params.causal_offset = kKvLen - kQLen;
  whole.params.sinks.assign(8, 1.0F);
  whole.output.return_lse = true;
  return whole;
}

// Keys [begin, end) of a tensor [1, num_kv_heads, kv_len, dim] f32.
Tensor KeysOf(const Tensor& tensor, int64_t begin, int64_t end) {
  const Shape& shape = tensor.shape();
  const size_t key_bytes = shape[3] * sizeof(float);
  std::string bytes;
  for (int64_t head = 0; head < shape[1]; ++head) {
    bytes += tensor.bytes().substr((head * shape[2] + begin) * key_bytes,
                                   (end - begin) * key_bytes);
  }
  return Tensor::Own(tensor.dtype(), {1, shape[1], end - begin, shape[3]},
                     std::move(bytes));
}

// What the server with keys [begin, end) is asked. It counts its keys from 0,
// so that the rows stand `begin` keys further left. Every row sees key 0, so
// the sinks are in good hands with the first part; merge.h says when not.
AttendRequest PartRequest(const AttendRequest& whole, int64_t begin,
                          int64_t end) {
  AttendRequest part = whole;
  part.key = KeysOf(whole.key, begin, end);
  part.value = KeysOf(whole.value, begin, end);
  part.params.causal_offset = *whole.params.causal_offset - begin;
  if (begin > 0) {
    part.params.sinks.clear();
  }
  return part;
}

using Pending = std::future<absl::StatusOr<AttendResponse>>;

Pending Send(Client& client, const AttendRequest& request) {
  auto promise =
      std::make_shared<std::promise<absl::StatusOr<AttendResponse>>>();
  client.AttendAsync(request, [promise](auto response) {
    promise->set_value(std::move(response));
  });
  return promise->get_future();
}

// All parts at once, one to each client.
absl::StatusOr<PartialAnswer> AttendInParts(
    const std::vector<std::unique_ptr<Client>>& clients,
    const AttendRequest& whole) {
  std::vector<Pending> pending;
  const auto count = static_cast<int64_t>(clients.size());
  for (int64_t p = 0; p < count; ++p) {
    pending.push_back(Send(*clients[p], PartRequest(whole, kKvLen * p / count,
                                                    kKvLen * (p + 1) / count)));
  }
  std::vector<PartialAnswer> parts;
  absl::Status status;
  for (Pending& answer : pending) {
    absl::StatusOr<AttendResponse> response = answer.get();
    status.Update(response.status());
    if (response.ok()) {
      parts.push_back({response->output, response->lse});
    }
  }
  return status.ok() ? attn::client::Merge(parts) : status;
}

// The largest difference, as a part of the largest value.
double Difference(const Tensor& found, const Tensor& expected) {
  const std::vector<float> a = found.ToFloats().value();
  const std::vector<float> b = expected.ToFloats().value();
  double difference = 0;
  double magnitude = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    if (!std::isfinite(a[i])) {
      return HUGE_VAL;  // NaN would be lost in std::max.
    }
    difference = std::max(difference, std::fabs(double{a[i]} - b[i]));
    magnitude = std::max(magnitude, std::fabs(double{b[i]}));
  }
  return difference / magnitude;
}

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start)
      .count();
}

// Connected clients; empty where an address is of no use.
std::vector<std::unique_ptr<Client>> Connect(const std::string& addresses) {
  std::vector<std::unique_ptr<Client>> clients;
  std::istringstream stream(addresses);
  for (std::string address; std::getline(stream, address, ',');) {
    auto client = Client::Create({.address = address});
    // Connects, so that the times below are those of the calls.
    const auto health =
        client.ok() ? (*client)->CheckHealth() : client.status();
    if (!health.ok()) {
      std::printf("%s: %s\n", address.c_str(),
                  attn::client::DescribeError(health.status()).c_str());
      return {};
    }
    clients.push_back(*std::move(client));
  }
  return clients;
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
  if (clients.empty()) {
    return 1;
  }
  const AttendRequest request = WholeRequest();
  Clock::time_point start = Clock::now();
  const auto whole = clients.front()->Attend(request);
  const double whole_ms = MillisecondsSince(start);
  start = Clock::now();
  const auto merged = AttendInParts(clients, request);
  const double parts_ms = MillisecondsSince(start);
  for (const absl::Status& status : {whole.status(), merged.status()}) {
    if (!status.ok()) {
      std::puts(attn::client::DescribeError(status).c_str());
      return 1;
    }
  }
  const double difference = std::max(Difference(merged->output, whole->output),
                                     Difference(merged->lse, whole->lse));
  std::printf(
      "%zu parts of %d keys: largest difference %.2g of the largest "
      "value; whole %.1f ms, in parts %.1f ms\n",
      clients.size(), static_cast<int>(kKvLen), difference, whole_ms, parts_ms);
  return difference <= kTolerance ? 0 : 1;
}
