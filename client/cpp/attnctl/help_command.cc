// `attnctl help TOPIC`: what flags alone do not explain.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/help_topics.h"

namespace attn::attnctl {

void AddHelpCommand(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "help", "Explain shapes, masks, sessions, layers or errors");
  auto topic = std::make_shared<std::string>();
  const std::map<std::string, absl::string_view> texts = {
      {"shapes", kShapesTopic},
      {"masks", kMasksTopic},
      {"sessions", kSessionsTopic},
      {"layers", kLayersTopic},
      {"errors", kErrorsTopic}};
  command->add_option("topic", *topic, "What to explain")
      ->required()
      ->check(
          CLI::IsMember({"shapes", "masks", "sessions", "layers", "errors"}));
  command->callback([topic, texts, &action] {
    action = [text = texts.at(*topic)] {
      std::fwrite(text.data(), 1, text.size(), stdout);
      return kExitOk;
    };
  });
}

}  // namespace attn::attnctl
