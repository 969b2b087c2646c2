// A program of someone else: only the installed headers and libraries. Calls an
// address where nobody listens and expects the error of that, in time.
#include <client/cpp/client.h>
#include <client/cpp/error_details.h>

#include <cstdio>

int main() {
  namespace ac = attn::client;
  ac::ClientOptions options;
  options.address = "127.0.0.1:1";
  options.retry.max_attempts = 2;
  auto client = ac::Client::Create(options);
  if (!client.ok()) {
    return 1;
  }
  ac::AttendRequest request;
  request.query = *ac::Tensor::FromFloats({1.0F, 2.0F}, {1, 1, 1, 2});
  request.key = request.query;
  request.value = request.query;
  const auto response =
      (*client)->Attend(request, {.deadline = absl::Seconds(10)});
  std::puts(ac::DescribeError(response.status()).c_str());
  const auto output =
      (*client)->Forward({.layer = "model/0", .hidden = request.query},
                         {.deadline = absl::Seconds(10)});
  return absl::IsUnavailable(response.status()) &&
                 absl::IsUnavailable(output.status())
             ? 0
             : 1;
}
