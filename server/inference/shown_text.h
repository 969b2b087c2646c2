// Text that a client sent, as an error shows it.
#pragma once

#include <string>
#include <string_view>

namespace attn {

// At most 64 bytes of it, printable.
std::string ShownText(std::string_view text);

}  // namespace attn
