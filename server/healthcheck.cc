#include "server/healthcheck.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>

#include "grpc/health/v1/health.grpc.pb.h"
#include "server/http_endpoint_probe.h"

namespace attn {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

namespace {

int AskHttp(const HealthcheckOptions& options, std::ostream& out) {
  const auto status = ProbeHttp(options.address, "/readyz", options.timeout);
  if (!status.ok()) {
    out << options.address << " does not answer: " << status.status().message()
        << "\n";
    return 1;
  }
  out << options.address << " answers /readyz with " << *status << "\n";
  return *status == 200 ? 0 : 1;
}

int AskGrpc(const HealthcheckOptions& options, std::ostream& out) {
  const auto stub = Health::NewStub(
      grpc::CreateChannel(options.address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(
      std::chrono::system_clock::now() +
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          options.timeout));
  HealthCheckResponse response;
  const grpc::Status status =
      stub->Check(&context, HealthCheckRequest(), &response);
  if (!status.ok()) {
    out << options.address << " does not answer: " << status.error_message()
        << "\n";
    return 1;
  }
  out << options.address << " is "
      << HealthCheckResponse::ServingStatus_Name(response.status()) << "\n";
  return response.status() == HealthCheckResponse::SERVING ? 0 : 1;
}

}  // namespace

int RunHealthcheck(const HealthcheckOptions& options, std::ostream& out) {
  return options.is_http ? AskHttp(options, out) : AskGrpc(options, out);
}

}  // namespace attn
