// Options that every sub-command shares, and how a sub-command hangs on the
// command line. Plain values: thread-compatible.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "client/cpp/client.h"

namespace CLI {
class App;
}

namespace attn::attnctl {

struct GlobalOptions {
  std::string address = "127.0.0.1:8001";
  absl::Duration timeout = absl::Seconds(30);  // Of each call.
  int max_attempts = 4;  // Of each call, retries included.
  std::optional<client::TlsOptions> tls = {};  // None: plain text.
  std::string token = {};                      // Empty: none is sent.
};

// What the chosen sub-command does; its result is the exit code.
using Action = std::function<int()>;

// A client for `globals`; prints the error and gives null where there is none.
std::unique_ptr<client::Client> Connect(const GlobalOptions& globals);

// Both print "attnctl: <error>" to stderr. The first is for flags and files and
// gives kExitUsage, the second for what a call answered and gives kExitFailed.
int PrintUsageError(const absl::Status& status);
int PrintCallError(const absl::Status& status);

// Each adds its sub-command to `app`; parsing sets `action`. All of them
// must live until the action has run.
void AddAttendCommand(CLI::App& app, const GlobalOptions& globals,
                      Action& action);
void AddBenchCommand(CLI::App& app, const GlobalOptions& globals,
                     Action& action);
void AddHealthCommand(CLI::App& app, const GlobalOptions& globals,
                      Action& action);
void AddLayerCommand(CLI::App& app, const GlobalOptions& globals,
                     Action& action);
void AddSessionCommand(CLI::App& app, const GlobalOptions& globals,
                       Action& action);
void AddStatsCommand(CLI::App& app, const GlobalOptions& globals,
                     Action& action);
void AddTopCommand(CLI::App& app, const GlobalOptions& globals, Action& action);
void AddDoctorCommand(CLI::App& app, const GlobalOptions& globals,
                      Action& action);
// These ask no server. The first reads all commands and flags of `app`.
void AddCompletionCommand(CLI::App& app, Action& action);
void AddHelpCommand(CLI::App& app, Action& action);
void AddPlanCommand(CLI::App& app, Action& action);

}  // namespace attn::attnctl
