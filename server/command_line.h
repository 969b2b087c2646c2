// What the process was asked to do: reads argv, the ATTNSERVE_* environment and
// the config file into one Invocation. A flag wins over the environment, the
// environment over the file, the file over the default. Whatever is not
// understood is an error that names it; main prints it and exits with 2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "server/config.h"

namespace attn {

enum class Action {
  kServe,
  kShowText,  // --help, --version, --print-config, --check-config: print `text`
              // on stdout and exit with 0.
  kHealthcheck,
};

// The healthcheck sub-command: ask a running server how it is.
struct HealthcheckOptions {
  std::string address;  // HOST:PORT or unix:/path.
  Duration timeout = std::chrono::seconds(1);
  // Ask /readyz: at a gRPC port with TLS a probe has no certificate to show.
  bool is_http = false;
};

struct Invocation {
  Action action = Action::kServe;
  ServerConfig config;
  HealthcheckOptions healthcheck;
  std::string text;  // Ends in a newline.
};

// What the parser must know about the place it runs in.
struct HostFacts {
  std::string version;              // "0.1.0"
  int64_t usable_memory_bytes = 0;  // UsableMemoryBytes()
};

// `args` are argv without the program's name; `environment` holds "NAME=value"
// entries, of which only ATTNSERVE_* are looked at. INVALID_ARGUMENT or
// NOT_FOUND with a message for the user.
absl::StatusOr<Invocation> ParseCommandLine(
    const std::vector<std::string>& args,
    const std::vector<std::string>& environment, const HostFacts& host);

}  // namespace attn
