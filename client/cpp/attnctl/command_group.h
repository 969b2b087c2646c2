// A command with sub-commands, such as `attnctl session`: each has flags and
// makes calls on a connected client.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>

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

}  // namespace attn::attnctl
