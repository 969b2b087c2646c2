// The commands, flags and names of values that a command line knows, read from
// its CLI::App, so that what is completed cannot disagree with what is parsed.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace attn::attnctl {

struct FlagWords {
  std::vector<std::string> names;  // "-c", "--concurrency"
  std::string help;
  bool takes_value = false;
  std::vector<std::string> choices;  // All its values; empty: any.
};

struct SubcommandWords {
  std::string name;
  std::string help;
};

struct CommandWords {
  std::string path;  // "attnctl session create"
  std::vector<SubcommandWords> subcommands;
  std::vector<FlagWords> flags;  // Those of the commands around it as well.
  // What may stand there without a flag, where that is one of a few words.
  std::vector<std::string> arguments;
};

// `app` and all its sub-commands, the outer ones first.
std::vector<CommandWords> ReadCommandWords(const CLI::App& app);

}  // namespace attn::attnctl
