// Decides who may come in, before anything else of a call is looked at: on the
// gRPC port by doorkeeper.h, over HTTP and at the shared memory's socket
// likewise. Knows neither gRPC nor HTTP.
//
//   1. With --token-file every caller shows a bearer token. It names the tenant
//      and says what is allowed; a client certificate is only the door then.
//   2. Without one, but with --tls-client-ca, the client's certificate names
//      the tenant. Where no certificate can be shown, over HTTP and at the
//      socket, nobody comes in.
//   3. Without either everybody comes in and is the same tenant, "".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/access/caller.h"
#include "server/access/reloaded_files.h"
#include "server/access/token_set.h"

namespace attn {

// What a caller shows. Views of the call.
struct Credentials {
  // The values of `authorization`; more than one are refused.
  std::vector<std::string_view> authorization = {};
  // Whom the certificate is made out to, which TLS has verified; empty without
  // a certificate.
  std::string certificate_holder = {};
};

// Thread-safe.
class Access {
 public:
  // Null tokens: none are asked for. Borrowed; must outlive it.
  Access(const ReloadedFiles<TokenSet>* tokens, bool asks_certificate)
      : tokens_(tokens), asks_certificate_(asks_certificate) {}

  // Who this is. UNAUTHENTICATED without credentials, or with ones that are not
  // known; PERMISSION_DENIED with ones that do not allow it: kMonitor takes
  // every token, kClient that of a client alone.
  absl::StatusOr<Caller> Admit(const Credentials& credentials,
                               Role needed) const;

 private:
  absl::StatusOr<Caller> AdmitToken(std::string_view token, Role needed) const;

  const ReloadedFiles<TokenSet>* const tokens_;
  const bool asks_certificate_;
};

}  // namespace attn
