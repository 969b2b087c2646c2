// The shortest whole program: one head attends to four keys.
//   quickstart [HOST:PORT]
#include <cstdio>
#include <vector>

#include "client/cpp/client.h"
#include "client/cpp/error_details.h"

int main(int argc, char** argv) {
  using attn::client::Tensor;
  auto client = attn::client::Client::Create(
      {.address = argc > 1 ? argv[1] : "127.0.0.1:8001"});
  const std::vector<float> key = {1, 0, 0, 1, 1, 1, 0, 0};
  attn::client::AttendRequest request;
  request.query = Tensor::FromFloats({1.0F, 2.0F}, {1, 1, 1, 2}).value();
  request.key = Tensor::FromFloats(key, {1, 1, 4, 2}).value();
  request.value = request.key;
  request.output.weights = attn::client::Weights::kProbabilities;
  auto response = client.value()->Attend(request);
  if (!response.ok()) {
    std::puts(attn::client::DescribeError(response.status()).c_str());
    return 1;
  }
  const std::vector<float> weights = response->weights.ToFloats().value();
  std::printf("weights %.3f %.3f %.3f %.3f\n", weights[0], weights[1],
              weights[2], weights[3]);
  return 0;
}
