#include "client/cpp/attnctl/command_words.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace attn::attnctl {
namespace {

// CLI11 keeps a set of allowed values only as text: "TEXT:{a,b}".
std::vector<std::string> ChoicesOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t begin = type.find(":{");
  const size_t end = type.find('}', begin);
  if (begin == std::string::npos || end == std::string::npos) {
    return {};
  }
  return absl::StrSplit(type.substr(begin + 2, end - begin - 2), ',');
}

FlagWords FlagOf(const CLI::Option& option) {
  FlagWords flag;
  for (const std::string& name : option.get_snames()) {
    flag.names.push_back("-" + name);
  }
  for (const std::string& name : option.get_lnames()) {
    flag.names.push_back("--" + name);
  }
  flag.help = option.get_description();
  flag.takes_value = option.get_items_expected_max() > 0;
  flag.choices = ChoicesOf(option);
  return flag;
}

void Read(const CLI::App& app, const CommandWords& outer,
          std::vector<CommandWords>& all) {
  CommandWords words;
  words.path = outer.path.empty()
                   ? app.get_name()
                   : absl::StrCat(outer.path, " ", app.get_name());
  for (const CLI::Option* option :
       app.get_options([](const CLI::Option*) { return true; })) {
    if (option->get_positional()) {
      for (std::string& choice : ChoicesOf(*option)) {
        words.arguments.push_back(std::move(choice));
      }
    } else {
      words.flags.push_back(FlagOf(*option));
    }
  }
  // --help is every command's own; --version asks for the whole program.
  for (const FlagWords& flag : outer.flags) {
    if (flag.takes_value) {
      words.flags.push_back(flag);
    }
  }
  const std::vector<const CLI::App*> subcommands =
      app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* subcommand : subcommands) {
    words.subcommands.push_back(
        {subcommand->get_name(), subcommand->get_description()});
  }
  all.push_back(words);
  for (const CLI::App* subcommand : subcommands) {
    Read(*subcommand, words, all);
  }
}

}  // namespace

std::vector<CommandWords> ReadCommandWords(const CLI::App& app) {
  std::vector<CommandWords> all;
  Read(app, {}, all);
  return all;
}

}  // namespace attn::attnctl
