#include "core/kv_cache/session_id.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "core/base/error.h"

namespace attn {
namespace {

constexpr size_t kMaxLength = 64;
constexpr size_t kBootDigits = 8;
constexpr size_t kRandomDigits = 32;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsIdCharacter(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         c == '_' || c == '-';
}

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return IsDigit(c) || (c >= 'a' && c <= 'f');
  });
}

}  // namespace

bool IsSessionId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxLength &&
         std::all_of(id.begin(), id.end(), IsIdCharacter);
}

absl::Status CheckSessionId(std::string_view id) {
  if (IsSessionId(id)) return absl::OkStatus();
  // What else it holds is not repeated: it may be anything, of any length.
  return InvalidOption(
      "session_id", "must be 1 to 64 letters, digits, '_' or '-'",
      id.size() > kMaxLength ? absl::StrFormat("%d bytes", id.size())
                             : "another character");
}

std::string MakeBootId(uint64_t random_bits) {
  return absl::StrFormat("%08x", static_cast<uint32_t>(random_bits));
}

std::string MakeSessionId(std::string_view boot_id,
                          const std::function<uint64_t()>& random) {
  const uint64_t high = random();
  return absl::StrFormat("%s-%016x%016x", std::string(boot_id), high, random());
}

bool IsOfAnotherBoot(std::string_view id, std::string_view boot_id) {
  const bool has_form =
      id.size() == kBootDigits + 1 + kRandomDigits && id[kBootDigits] == '-' &&
      IsHex(id.substr(0, kBootDigits)) && IsHex(id.substr(kBootDigits + 1));
  return has_form && id.substr(0, kBootDigits) != boot_id;
}

}  // namespace attn
