// What the server shows of itself over TLS, and whom it asks to do the same:
// the contents of --tls-certificate, --tls-key and --tls-client-ca.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace attn {

// Texts in PEM.
struct TlsIdentity {
  std::string certificate_chain;  // The server's own first.
  std::string private_key;
  // Who signs clients' certificates; none: clients need no certificate.
  std::optional<std::string> client_ca;
  int64_t expiry_seconds = 0;  // When the certificate ends, since 1970.
};

// INVALID_ARGUMENT unless all of it can be read and key and certificate belong
// together. Says nothing of what is in the key. A certificate that has ended is
// taken: clients refuse it, and a metric tells.
absl::StatusOr<TlsIdentity> MakeTlsIdentity(
    std::string certificate_chain, std::string private_key,
    std::optional<std::string> client_ca);

}  // namespace attn
