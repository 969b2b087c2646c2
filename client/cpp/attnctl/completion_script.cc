#include "client/cpp/attnctl/completion_script.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace attn::attnctl {
namespace {

// `"a" | "b") ACTION ;;`, a branch of a case; nothing without patterns.
std::string Branch(const std::vector<std::string>& patterns,
                   const std::string& action) {
  if (patterns.empty()) {
    return "";
  }
  return absl::StrCat("    \"", absl::StrJoin(patterns, "\" | \""), "\") ",
                      action, " ;;\n");
}

// Patterns of everything that opens a sub-command.
std::vector<std::string> SubcommandPaths(
    const std::vector<CommandWords>& commands) {
  std::vector<std::string> paths;
  for (size_t i = 1; i < commands.size(); ++i) {
    paths.push_back(commands[i].path);
  }
  return paths;
}

// "attnctl attend --causal", for each name of a flag.
std::vector<std::string> FlagPaths(const CommandWords& command,
                                   const FlagWords& flag) {
  std::vector<std::string> paths;
  for (const std::string& name : flag.names) {
    paths.push_back(absl::StrCat(command.path, " ", name));
  }
  return paths;
}

// Branches for the word after a flag: its choices, as `offer` has them, or
// `any` where every value may be.
std::string ValueBranches(const std::vector<CommandWords>& commands,
                          const std::string& offer, const std::string& any) {
  std::string branches;
  std::vector<std::string> free;
  for (const CommandWords& command : commands) {
    for (const FlagWords& flag : command.flags) {
      const std::vector<std::string> paths = FlagPaths(command, flag);
      if (!flag.choices.empty()) {
        const std::string action = absl::StrReplaceAll(
            offer, {{"WORDS", absl::StrJoin(flag.choices, " ")}});
        absl::StrAppend(&branches, Branch(paths, action));
      } else if (flag.takes_value) {
        free.insert(free.end(), paths.begin(), paths.end());
      }
    }
  }
  return absl::StrCat(branches, Branch(free, any));
}

std::vector<std::string> PlainWords(const CommandWords& command) {
  std::vector<std::string> words = command.arguments;
  for (const SubcommandWords& subcommand : command.subcommands) {
    words.push_back(subcommand.name);
  }
  for (const FlagWords& flag : command.flags) {
    words.insert(words.end(), flag.names.begin(), flag.names.end());
  }
  return words;
}

// 'word:help' in single quotes; in the word a colon would end it.
std::string Described(const std::string& word, const std::string& help) {
  return absl::StrCat("'", word, ":",
                      absl::StrReplaceAll(help, {{"'", "'\\''"}}), "'");
}

std::vector<std::string> DescribedWords(const CommandWords& command) {
  std::vector<std::string> words = command.arguments;
  for (const SubcommandWords& subcommand : command.subcommands) {
    words.push_back(Described(subcommand.name, subcommand.help));
  }
  for (const FlagWords& flag : command.flags) {
    for (const std::string& name : flag.names) {
      words.push_back(Described(name, flag.help));
    }
  }
  return words;
}

constexpr char kBash[] = R"(# Completion of NAME for bash. For this shell:
#   source <(NAME completion bash)
_NAME() {
  local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD - 1]}
  local place=NAME i words=
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "$place ${COMP_WORDS[i]}" in
SUBCOMMANDS    esac
  done
  case "$place $last" in
VALUES  esac
  case $place in
PLACES  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _NAME NAME
)";

// `path` would be the shell's own search path.
constexpr char kZsh[] = R"(#compdef NAME
# Completion of NAME for zsh. For this shell, after compinit:
#   source <(NAME completion zsh)
_NAME() {
  local last=${words[CURRENT - 1]} place=NAME i
  local -a choices
  for ((i = 2; i < CURRENT; ++i)); do
    case "$place ${words[i]}" in
SUBCOMMANDS    esac
  done
  case "$place $last" in
VALUES  esac
  case $place in
PLACES  esac
  _describe NAME choices || _files
}
if [[ $funcstack[1] == _NAME ]]; then _NAME "$@"; else compdef _NAME NAME; fi
)";

}  // namespace

std::string RenderBashCompletion(const std::vector<CommandWords>& commands) {
  std::string places;
  for (const CommandWords& command : commands) {
    absl::StrAppend(
        &places,
        Branch({command.path},
               absl::StrCat("words=\"", absl::StrJoin(PlainWords(command), " "),
                            "\"")));
  }
  return absl::StrReplaceAll(
      kBash, {{"NAME", commands.front().path},
              {"SUBCOMMANDS", Branch(SubcommandPaths(commands),
                                     "place+=\" ${COMP_WORDS[i]}\"")},
              {"VALUES",
               ValueBranches(
                   commands,
                   "COMPREPLY=($(compgen -W \"WORDS\" -- \"$word\")); return",
                   "COMPREPLY=(); return")},
              {"PLACES", places}});
}

std::string RenderZshCompletion(const std::vector<CommandWords>& commands) {
  std::string places;
  for (const CommandWords& command : commands) {
    absl::StrAppend(
        &places,
        Branch({command.path},
               absl::StrCat("choices=(",
                            absl::StrJoin(DescribedWords(command), " "), ")")));
  }
  return absl::StrReplaceAll(
      kZsh, {{"NAME", commands.front().path},
             {"SUBCOMMANDS",
              Branch(SubcommandPaths(commands), "place+=\" ${words[i]}\"")},
             {"VALUES", ValueBranches(commands, "compadd -- WORDS; return",
                                      "_files; return")},
             {"PLACES", places}});
}

}  // namespace attn::attnctl
