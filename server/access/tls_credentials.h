// TLS for gRPC's port, with an identity that may change: each new connection
// gets the one of that moment, those that stand keep theirs. gRPC's own
// FileWatcherCertificateProvider reads files as well, but hands on whatever it
// finds; here only a set that fits together gets as far as a connection.
#pragma once

#include <functional>
#include <memory>

#include "grpcpp/security/server_credentials.h"
#include "server/access/tls_identity.h"

namespace attn {

// `identity` is asked at each handshake, from gRPC's threads, and must stay
// callable until the server that listens with these is gone, as they must
// themselves; never null. All of them have a client_ca, so that clients must
// show a certificate, or none has.
std::shared_ptr<grpc::ServerCredentials> MakeTlsCredentials(
    std::function<std::shared_ptr<const TlsIdentity>()> identity);

}  // namespace attn
