#include "server/access/tls_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attn {
namespace {

using IdentityFunction = std::function<std::shared_ptr<const TlsIdentity>()>;

// The C API's fetcher of configurations, which the C++ API does not reach.
class TlsCredentials final : public grpc::ServerCredentials {
 public:
  explicit TlsCredentials(IdentityFunction identity)
      : identity_(std::move(identity)) {
    const auto asks =
        identity_()->client_ca.has_value()
            ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
            : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    credentials_ = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            asks, &TlsCredentials::Fetch, this));
  }
  ~TlsCredentials() override { grpc_server_credentials_release(credentials_); }
  TlsCredentials(const TlsCredentials&) = delete;
  TlsCredentials& operator=(const TlsCredentials&) = delete;

  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>& /*processor*/)
      override {}

 private:
  int AddPortToServer(const std::string& address,
                      grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  // At every handshake. gRPC keeps what it got last.
  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<TlsCredentials*>(self)->FetchIdentity(config);
  }

  grpc_ssl_certificate_config_reload_status FetchIdentity(
      grpc_ssl_server_certificate_config** config) {
    std::shared_ptr<const TlsIdentity> identity = identity_();
    const absl::MutexLock lock(&mutex_);
    if (identity == last_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair{identity->private_key.c_str(),
                                          identity->certificate_chain.c_str()};
    // gRPC 1.51 insists on roots (it aborts without), also where it asks
    // clients for no certificate and so never looks at them.
    const std::string roots =
        identity->client_ca.value_or(identity->certificate_chain);
    *config =
        grpc_ssl_server_certificate_config_create(roots.c_str(), &pair, 1);
    last_ = std::move(identity);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const IdentityFunction identity_;
  grpc_server_credentials* credentials_ = nullptr;  // Owned.
  absl::Mutex mutex_;
  std::shared_ptr<const TlsIdentity> last_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeTlsCredentials(
    IdentityFunction identity) {
  return std::make_shared<TlsCredentials>(std::move(identity));
}

}  // namespace attn
