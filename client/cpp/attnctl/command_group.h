// A command with sub-commands, such as `attnctl session`: each has flags, makes
// calls on a connected client and prints what they answer.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"

namespace attn::attnctl {

// What the sub-commands hang on; all of it must live until the action has run.
struct CommandGroup {
  CLI::App& app;
  const GlobalOptions& globals;
  Action& action;
};

// Adds a sub-command of which `add` makes the flags and `run` the rest.
template <typename Flags>
void AddCommand(const CommandGroup& group, const char* name, const char* help,
                void (*add)(CLI::App&, Flags&),
                int (*run)(const Flags&, client::Client&)) {
  CLI::App* command = group.app.add_subcommand(name, help);
  auto flags = std::make_shared<Flags>();
  add(*command, *flags);
  command->callback(
      [flags, run, &globals = group.globals, &action = group.action] {
        action = [flags, run, &globals] {
          const std::unique_ptr<client::Client> connected = Connect(globals);
          return connected == nullptr ? kExitUsage : run(*flags, *connected);
        };
      });
}

// Prints the answer of a call as `render` has it; the exit code.
template <typename Answer>
int PrintAnswer(const absl::StatusOr<Answer>& answer,
                std::string (*render)(const Answer&)) {
  if (!answer.ok()) {
    return PrintCallError(answer.status());
  }
  std::fputs(render(*answer).c_str(), stdout);
  return kExitOk;
}

// One call for each name, also after one that failed; the exit code.
template <typename Call>
int CallEach(const std::vector<std::string>& names, Call call) {
  int exit_code = kExitOk;
  for (const std::string& name : names) {
    if (absl::Status status = call(name); !status.ok()) {
      exit_code = PrintCallError(status);
    }
  }
  return exit_code;
}

}  // namespace attn::attnctl
