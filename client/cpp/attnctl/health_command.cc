// `attnctl health`: the server's state once, on every change, or waited for.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/flag_types.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/output_flag.h"

namespace attn::attnctl {
namespace {

using client::Health;

constexpr absl::Duration kPollPeriod = absl::Milliseconds(100);

struct HealthFlags {
  std::string service;
  bool watch = false;
  absl::Duration wait = absl::ZeroDuration();
  bool json = false;
};

int Print(Health health, bool json) {
  const std::string name(client::HealthName(health));
  const std::string text = json ? "{\"health\": \"" + name + "\"}" : name;
  std::puts(text.c_str());
  std::fflush(stdout);
  return health == Health::kServing ? kExitOk : kExitFailed;
}

int Watch(client::Client& client, const HealthFlags& flags) {
  const auto show = [&flags](Health health) {
    Print(health, flags.json);
    return true;
  };
  const absl::Status ended = client.WatchHealth(flags.service, show);
  return ended.ok() ? kExitOk : PrintCallError(ended);
}

// Asks until the answer is SERVING or `wait` is over; prints the last answer.
int Check(client::Client& client, const HealthFlags& flags) {
  const absl::Time end = absl::Now() + flags.wait;
  for (;;) {
    const absl::StatusOr<Health> health = client.CheckHealth(flags.service);
    const bool serving = health.ok() && *health == Health::kServing;
    if (serving || absl::Now() >= end) {
      return health.ok() ? Print(*health, flags.json)
                         : PrintCallError(health.status());
    }
    absl::SleepFor(kPollPeriod);
  }
}

int RunHealth(const HealthFlags& flags, const GlobalOptions& globals) {
  const std::unique_ptr<client::Client> connected = Connect(globals);
  if (connected == nullptr) {
    return kExitUsage;
  }
  return flags.watch ? Watch(*connected, flags) : Check(*connected, flags);
}

}  // namespace

void AddHealthCommand(CLI::App& app, const GlobalOptions& globals,
                      Action& action) {
  CLI::App* command =
      app.add_subcommand("health", "Print whether the server is serving");
  command->footer("Exit code 0: SERVING, else 1.");
  auto flags = std::make_shared<HealthFlags>();
  command->add_option("service", flags->service,
                      "Service to ask for (default: the server as a whole)");
  command->add_flag("--watch", flags->watch, "Print every change");
  AddDurationFlag(*command, "--wait", flags->wait,
                  "Wait this long for SERVING (default: ask once)");
  AddJsonFlags(*command, flags->json);
  command->callback([flags, &globals, &action] {
    action = [flags, &globals] { return RunHealth(*flags, globals); };
  });
}

}  // namespace attn::attnctl
