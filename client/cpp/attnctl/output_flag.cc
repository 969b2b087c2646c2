#include "client/cpp/attnctl/output_flag.h"

#include "client/cpp/attnctl/flag_types.h"

namespace attn::attnctl {

CLI::Option* AddOutputFlag(CLI::App& app, bool& json) {
  return AddEnumFlag<bool>(app, "--output", json,
                           {{"table", false}, {"json", true}},
                           "How to print it (default table)");
}

CLI::Option* AddJsonFlags(CLI::App& app, bool& json) {
  return app.add_flag("--json", json, "Short for --output json")
      ->excludes(AddOutputFlag(app, json));
}

}  // namespace attn::attnctl
