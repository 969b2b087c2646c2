#include "server/inference/shown_text.h"

#include "absl/strings/escaping.h"

namespace attn {

std::string ShownText(std::string_view text) {
  constexpr size_t kMaxBytes = 64;
  return absl::CHexEscape(std::string(text.substr(0, kMaxBytes)));
}

}  // namespace attn
