#include "client/cpp/channel_credentials.h"

namespace attn::client {

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const std::optional<TlsOptions>& tls, grpc::ChannelArguments& arguments) {
  if (!tls.has_value()) {
    return grpc::InsecureChannelCredentials();
  }
  if (tls->certificate_chain.empty() != tls->private_key.empty()) {
    return absl::InvalidArgumentError(
        "tls.certificate_chain and tls.private_key must be given together; "
        "got one of them");
  }
  if (!tls->server_name.empty()) {
    arguments.SetSslTargetNameOverride(tls->server_name);
  }
  return grpc::SslCredentials({.pem_root_certs = tls->root_certificates,
                               .pem_private_key = tls->private_key,
                               .pem_cert_chain = tls->certificate_chain});
}

}  // namespace attn::client
