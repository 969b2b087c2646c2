#include "server/page_token.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/base/error.h"

namespace attn {
namespace {

constexpr char kPrefix[] = "v1:";
constexpr size_t kLongestId = 512;

}  // namespace

std::string MakePageToken(const std::string& last_id) {
  return absl::WebSafeBase64Escape(absl::StrCat(kPrefix, last_id));
}

absl::StatusOr<std::string> ParsePageToken(const std::string& token) {
  if (token.empty()) return std::string();
  std::string text;
  const std::string prefix(kPrefix);
  const bool is_ours = absl::WebSafeBase64Unescape(token, &text) &&
                       text.rfind(prefix, 0) == 0 &&
                       text.size() > prefix.size() &&
                       text.size() <= prefix.size() + kLongestId &&
                       MakePageToken(text.substr(prefix.size())) == token;
  if (is_ours) return text.substr(prefix.size());
  return InvalidOption("page_token", "must be a next_page_token of this method",
                       "something else");
}

int64_t PageSize(uint32_t wanted) {
  constexpr int64_t kDefault = 100;
  constexpr int64_t kMost = 1000;
  return wanted == 0 ? kDefault : std::min<int64_t>(wanted, kMost);
}

}  // namespace attn
