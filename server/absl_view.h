// The abseil of Debian 12 has a string_view of its own, to which
// std::string_view does not convert. This is the one bridge for the server.
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace attn {

// The same characters; borrows `text`.
inline absl::string_view AbslView(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace attn
