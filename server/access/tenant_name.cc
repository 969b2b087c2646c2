#include "server/access/tenant_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace attn {
namespace {

bool IsAlphanumeric(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c));
}

}  // namespace

bool IsTenantName(std::string_view name) {
  constexpr std::string_view kSigns = "._:/@-";
  return !name.empty() && name.size() <= 128 && IsAlphanumeric(name.front()) &&
         std::ranges::all_of(name, [&](char c) {
           return IsAlphanumeric(c) || kSigns.find(c) != std::string_view::npos;
         });
}

}  // namespace attn
