// The files of explorer/ as they were when attnctl was built (CMakeLists.txt
// makes the definitions). The page names the places of style, script and data
// as {{style}}, {{script}} and {{data}}.
#pragma once

#include "absl/strings/string_view.h"

namespace attn::attnctl {

extern const absl::string_view kExplorerPage;
extern const absl::string_view kExplorerStyle;
extern const absl::string_view kExplorerScript;

}  // namespace attn::attnctl
