// Completion of a command line for shells. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "client/cpp/attnctl/command_words.h"

namespace attn::attnctl {

// What a shell sources to complete commands[0] and its sub-commands: commands,
// flags and, for flags with a few values, those; files for any other value.
// REQUIRES: not empty; names hold no quotes.
std::string RenderBashCompletion(const std::vector<CommandWords>& commands);

// The same for zsh, where commands and flags show their help.
std::string RenderZshCompletion(const std::vector<CommandWords>& commands);

}  // namespace attn::attnctl
