#include "server/access/call_credentials.h"

#include <grpc/grpc_security_constants.h>

namespace attn {
namespace {

std::string CertificateHolder(const grpc::AuthContext& peer) {
  if (!peer.IsPeerAuthenticated()) return "";
  for (const char* property :
       {GRPC_PEER_URI_PROPERTY_NAME, GRPC_PEER_DNS_PROPERTY_NAME,
        GRPC_X509_CN_PROPERTY_NAME}) {
    const std::vector<grpc::string_ref> values =
        peer.FindPropertyValues(property);
    if (!values.empty()) {
      return std::string(values.front().data(), values.front().size());
    }
  }
  return "";
}

}  // namespace

Credentials CredentialsOf(const grpc::CallbackServerContext& call) {
  Credentials credentials;
  const auto [first, last] =
      call.client_metadata().equal_range("authorization");
  for (auto entry = first; entry != last; ++entry) {
    credentials.authorization.emplace_back(entry->second.data(),
                                           entry->second.size());
  }
  if (const auto peer = call.auth_context()) {
    credentials.certificate_holder = CertificateHolder(*peer);
  }
  return credentials;
}

}  // namespace attn
