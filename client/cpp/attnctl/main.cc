// attnctl: the command-line client of attnserve. Wires the sub-commands.
#include <CLI/CLI.hpp>

#include "client/cpp/attnctl/access_flags.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/flag_types.h"
#include "client/cpp/attnctl/global_options.h"

namespace {

using attn::attnctl::GlobalOptions;

void AddGlobalFlags(CLI::App& app, GlobalOptions& globals) {
  app.add_option("--address", globals.address,
                 "gRPC address of the server (default 127.0.0.1:8001)")
      ->envname("ATTNCTL_ADDRESS");
  attn::attnctl::AddDurationFlag(app, "--timeout", globals.timeout,
                                 "Deadline of each call (default 30s)");
  app.add_option("--attempts", globals.max_attempts,
                 "Attempts of each call, retries included (default 4)")
      ->check(CLI::Range(1, 5));
  attn::attnctl::AddAccessFlags(app, globals);
  app.set_version_flag("--version", std::string("attnctl ") + ATTN_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(
      "Exit codes: 0 done; 1 the server refused, failed or was not there; "
      "2 flags or files that make no request.");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Client of attnserve, attention as a service", "attnctl");
  GlobalOptions globals;
  attn::attnctl::Action action;
  AddGlobalFlags(app, globals);
  attn::attnctl::AddAttendCommand(app, globals, action);
  attn::attnctl::AddBenchCommand(app, globals, action);
  attn::attnctl::AddCompletionCommand(app, action);
  attn::attnctl::AddDoctorCommand(app, globals, action);
  attn::attnctl::AddHealthCommand(app, globals, action);
  attn::attnctl::AddHelpCommand(app, action);
  attn::attnctl::AddLayerCommand(app, globals, action);
  attn::attnctl::AddPlanCommand(app, action);
  attn::attnctl::AddSessionCommand(app, globals, action);
  attn::attnctl::AddStatsCommand(app, globals, action);
  attn::attnctl::AddTopCommand(app, globals, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? attn::attnctl::kExitOk
                                : attn::attnctl::kExitUsage;
  }
  return action();
}
