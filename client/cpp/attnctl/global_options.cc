#include "client/cpp/attnctl/global_options.h"

#include <cstdio>

#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/error_details.h"

namespace attn::attnctl {
namespace {

void PrintError(const absl::Status& status) {
  std::fprintf(stderr, "attnctl: %s\n", client::DescribeError(status).c_str());
}

}  // namespace

std::unique_ptr<client::Client> Connect(const GlobalOptions& globals) {
  client::ClientOptions options;
  options.address = globals.address;
  options.default_deadline = globals.timeout;
  options.retry.max_attempts = globals.max_attempts;
  options.tls = globals.tls;
  options.token = [token = globals.token] { return token; };
  auto connected = client::Client::Create(options);
  if (!connected.ok()) {
    PrintError(connected.status());
    return nullptr;
  }
  return *std::move(connected);
}

int PrintUsageError(const absl::Status& status) {
  PrintError(status);
  return kExitUsage;
}

int PrintCallError(const absl::Status& status) {
  PrintError(status);
  return kExitFailed;
}

}  // namespace attn::attnctl
