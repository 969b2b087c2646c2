// The bearer tokens that are known, and what each allows: the contents of
// --token-file. A line names a tenant, a token, and perhaps a role:
//
//   # tenant    token, or sha256:HEX of it     role: client or monitor
//   search      sha256:9f86d081884c7d65...
//   prometheus  sha256:60303ae22b998861...     monitor
//
// A tenant may have several tokens, so that a new one can be handed out before
// the old one goes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/access/token_digest.h"

namespace attn {

// kClient: every call. kMonitor: metrics and status alone.
enum class Role { kClient, kMonitor };

// "client" or "monitor".
std::string_view RoleName(Role role);

struct TokenOwner {
  std::string tenant;
  Role role = Role::kClient;
};

// Thread-compatible: never changes once made.
class TokenSet {
 public:
  // Each call is compared with all of them.
  static constexpr size_t kMaxTokens = 1024;

  // Strict. INVALID_ARGUMENT with the number of the line that breaks a rule,
  // and never with the token in it; also for a text without a token, which
  // would lock everybody out.
  static absl::StatusOr<TokenSet> Parse(std::string_view text);

  // Null: nobody has this token. Compares it with every token there is, whose
  // places in the file nobody can measure then. Valid as long as the set.
  const TokenOwner* Find(std::string_view token) const;

  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    TokenDigest digest = {};
    TokenOwner owner;
    int line = 0;
  };

  absl::Status AddLine(std::string_view text, int line);

  std::vector<Entry> entries_;
};

}  // namespace attn
