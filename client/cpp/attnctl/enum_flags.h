// Flags that take one of a few names and that several commands have. A
// `target` must outlive the parse.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "client/cpp/request.h"
#include "client/cpp/session.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace attn::attnctl {

// The names of the types that query, key and value can have.
std::map<std::string, client::DType> FloatTypes();

// --causal; absent: none, and the layer's own.
CLI::Option* AddCausalFlag(CLI::App& app, client::Causal& target);
CLI::Option* AddCausalFlag(CLI::App& app,
                           std::optional<client::Causal>& target);

// --kv-dtype
CLI::Option* AddKvDtypeFlag(CLI::App& app, client::KvDtype& target);

// --layout; `tensors` are those that have it, for the help.
CLI::Option* AddLayoutFlag(CLI::App& app, client::Layout& target,
                           const std::string& tensors);

// --priority
CLI::Option* AddPriorityFlag(CLI::App& app, client::Priority& target);

}  // namespace attn::attnctl
