#include "server/access/access.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "server/absl_view.h"
#include "server/access/tenant_name.h"

namespace attn {
namespace {

constexpr std::string_view kScheme = "Bearer ";

absl::StatusOr<std::string_view> BearerToken(const Credentials& credentials) {
  if (credentials.authorization.size() != 1) {
    return absl::UnauthenticatedError(
        absl::StrCat("authorization must be given once; got ",
                     credentials.authorization.size(), " of them"));
  }
  const std::string_view value = credentials.authorization.front();
  if (!absl::StartsWithIgnoreCase(AbslView(value), AbslView(kScheme))) {
    return absl::UnauthenticatedError(
        "authorization must be \"Bearer TOKEN\"; got another scheme");
  }
  return value.substr(kScheme.size());
}

absl::StatusOr<Caller> AdmitCertificate(const std::string& holder) {
  if (IsTenantName(holder)) return Caller{.tenant = holder};
  return absl::UnauthenticatedError(
      holder.empty() ? "a client certificate that names its holder is needed"
                     : "the certificate's holder must be 1 to 128 of "
                       "A-Z a-z 0-9 . _ : / @ -");
}

}  // namespace

absl::StatusOr<Caller> Access::Admit(const Credentials& credentials,
                                     Role needed) const {
  if (tokens_ != nullptr) {
    ATTN_ASSIGN_OR_RETURN(const std::string_view token,
                          BearerToken(credentials));
    return AdmitToken(token, needed);
  }
  if (asks_certificate_)
    return AdmitCertificate(credentials.certificate_holder);
  return Caller{};
}

absl::StatusOr<Caller> Access::AdmitToken(std::string_view token,
                                          Role needed) const {
  const auto tokens = tokens_->contents();
  const TokenOwner* owner = tokens->Find(token);
  if (owner == nullptr) {
    return absl::UnauthenticatedError("the bearer token is not known");
  }
  if (needed == Role::kClient && owner->role != Role::kClient) {
    return absl::PermissionDeniedError(
        absl::StrCat("the bearer token's role must be client; got ",
                     AbslView(RoleName(owner->role))));
  }
  return Caller{.tenant = owner->tenant};
}

}  // namespace attn
