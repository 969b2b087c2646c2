#include "server/access/token_set.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status_macros.h"
#include "server/absl_view.h"
#include "server/access/tenant_name.h"

namespace attn {
namespace {

constexpr absl::string_view kDigestPrefix = "sha256:";
// 16 random letters and digits are 95 bits.
constexpr size_t kMinTokenBytes = 16;
constexpr size_t kMaxTokenBytes = 4096;

absl::Status AtLine(int line, std::string_view rule) {
  return absl::InvalidArgumentError(
      absl::StrCat("line ", line, ": ", AbslView(rule)));
}

// As RFC 6750 has them in a header.
bool IsTokenByte(char c) {
  constexpr std::string_view kSigns = "-._~+/=";
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         kSigns.find(c) != std::string_view::npos;
}

absl::StatusOr<TokenDigest> ReadToken(absl::string_view text, int line) {
  if (text.substr(0, kDigestPrefix.size()) == kDigestPrefix) {
    text.remove_prefix(kDigestPrefix.size());
    const auto digest = ParseDigest({text.data(), text.size()});
    if (digest.has_value()) return *digest;
    return AtLine(line, "sha256: must be followed by 64 hexadecimal digits");
  }
  if (text.size() < kMinTokenBytes || text.size() > kMaxTokenBytes ||
      !std::all_of(text.begin(), text.end(), IsTokenByte)) {
    return AtLine(line,
                  "a token must be 16 to 4096 letters, digits and -._~+/=");
  }
  return DigestOf({text.data(), text.size()});
}

absl::StatusOr<Role> ReadRole(absl::string_view text, int line) {
  for (const Role role : {Role::kClient, Role::kMonitor}) {
    if (text == AbslView(RoleName(role))) return role;
  }
  return AtLine(line, "the role must be client or monitor");
}

}  // namespace

std::string_view RoleName(Role role) {
  return role == Role::kClient ? "client" : "monitor";
}

absl::StatusOr<TokenSet> TokenSet::Parse(std::string_view text) {
  TokenSet set;
  int line = 0;
  for (const absl::string_view raw : absl::StrSplit(AbslView(text), '\n')) {
    ++line;
    const absl::string_view trimmed = absl::StripAsciiWhitespace(raw);
    if (trimmed.empty() || trimmed.front() == '#') continue;
    ATTN_RETURN_IF_ERROR(set.AddLine({trimmed.data(), trimmed.size()}, line));
  }
  if (set.entries_.empty()) {
    return absl::InvalidArgumentError("must have a token at least");
  }
  return set;
}

absl::Status TokenSet::AddLine(std::string_view text, int line) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(AbslView(text), absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() < 2 || words.size() > 3) {
    return AtLine(line, "must be a tenant, a token and perhaps a role");
  }
  if (!IsTenantName({words[0].data(), words[0].size()})) {
    return AtLine(line, "a tenant must be 1 to 128 of A-Z a-z 0-9 . _ : / @ -");
  }
  Entry entry{.owner = {.tenant = std::string(words[0])}, .line = line};
  ATTN_ASSIGN_OR_RETURN(entry.digest, ReadToken(words[1], line));
  if (words.size() == 3) {
    ATTN_ASSIGN_OR_RETURN(entry.owner.role, ReadRole(words[2], line));
  }
  const auto same = [&](const Entry& other) {
    return other.digest == entry.digest;
  };
  const auto first = std::ranges::find_if(entries_, same);
  if (first != entries_.end()) {
    return AtLine(line, "a token must be given once; line " +
                            std::to_string(first->line) + " has it too");
  }
  if (entries_.size() == kMaxTokens) {
    return AtLine(line, "there must be at most 1024 tokens");
  }
  entries_.push_back(std::move(entry));
  return absl::OkStatus();
}

const TokenOwner* TokenSet::Find(std::string_view token) const {
  const TokenDigest digest = DigestOf(token);
  const TokenOwner* found = nullptr;
  for (const Entry& entry : entries_) {
    if (AreEqual(entry.digest, digest)) found = &entry.owner;
  }
  return found;
}

}  // namespace attn
