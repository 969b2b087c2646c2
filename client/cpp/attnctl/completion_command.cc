// `attnctl completion`: what a shell sources to complete attnctl.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "client/cpp/attnctl/command_words.h"
#include "client/cpp/attnctl/completion_script.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"

namespace attn::attnctl {

void AddCompletionCommand(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "completion", "Print completion for a shell, to be sourced");
  command->footer(
      "For example, in ~/.bashrc: source <(attnctl completion bash)");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  command->callback([shell, &app, &action] {
    action = [shell, &app] {
      const std::vector<CommandWords> words = ReadCommandWords(app);
      const std::string script = *shell == "bash" ? RenderBashCompletion(words)
                                                  : RenderZshCompletion(words);
      std::fputs(script.c_str(), stdout);
      return kExitOk;
    };
  });
}

}  // namespace attn::attnctl
