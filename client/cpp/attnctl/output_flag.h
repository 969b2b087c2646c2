// How a command prints what it found: --output, the same for all of them. A
// `json` must outlive the parse.
#pragma once

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace attn::attnctl {

// --output table|json (default table).
CLI::Option* AddOutputFlag(CLI::App& app, bool& json);

// The same, and --json, which is short for --output json.
CLI::Option* AddJsonFlags(CLI::App& app, bool& json);

}  // namespace attn::attnctl
