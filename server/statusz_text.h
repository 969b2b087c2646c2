// The files of statusz/ as they were when the server was built (CMakeLists.txt
// makes the definitions). The page names the places of its tables and of the
// settings as {{sections}} and {{config}}.
#pragma once

#include "absl/strings/string_view.h"

namespace attn {

extern const absl::string_view kStatuszPage;
extern const absl::string_view kStatuszStyle;
extern const absl::string_view kStatuszScript;

}  // namespace attn
