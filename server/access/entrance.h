// Everything that decides who comes in: the files of credentials, read again
// every now and then, and Access over them. The server makes one, and its
// ports ask it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/access/access.h"
#include "server/access/access_point.h"
#include "server/access/reloaded_files.h"
#include "server/access/tls_identity.h"
#include "server/access/token_set.h"
#include "server/log.h"
#include "server/prometheus_metrics.h"
#include "server/ticker.h"

namespace attn {

// Paths; empty ones are off. tls_key comes with tls_certificate, tls_client_ca
// with both.
struct EntranceFiles {
  std::string tls_certificate;
  std::string tls_key;
  std::string tls_client_ca;
  std::string tokens;
};

// Thread-safe.
class Entrance {
 public:
  // Borrows log and metrics, which must outlive it. Errors: those of the files,
  // with the setting that names them.
  static absl::StatusOr<std::unique_ptr<Entrance>> Open(
      const EntranceFiles& files, Duration reload_interval, const Log& log,
      PrometheusMetrics& metrics);

  bool has_tls() const { return tls_ != nullptr; }

  const Access& access() const { return access_; }

  // As Access::Admit; counts those who are turned away at `point`.
  absl::StatusOr<Caller> Admit(AccessPoint point,
                               const Credentials& credentials,
                               Role needed) const;
  // The same for a token that comes without a header; "" for none.
  absl::StatusOr<Caller> AdmitToken(AccessPoint point, std::string_view token,
                                    Role needed) const;

  // What new connections get now. REQUIRES: has_tls().
  std::shared_ptr<const TlsIdentity> identity() const {
    return tls_->contents();
  }
  // Of the served certificate, since 1970; 0 without TLS.
  int64_t certificate_expiry_seconds() const;

  // What the thread does now and then.
  void Reload();

 private:
  using TlsFiles = ReloadedFiles<TlsIdentity>;
  using TokenFile = ReloadedFiles<TokenSet>;

  Entrance(std::unique_ptr<TlsFiles> tls, bool asks_certificate,
           std::unique_ptr<TokenFile> tokens, const Log& log,
           PrometheusMetrics& metrics);

  template <typename Contents>
  void Reload(CredentialFiles which, ReloadedFiles<Contents>* files);

  const Log& log_;
  PrometheusMetrics& metrics_;
  const std::unique_ptr<TlsFiles> tls_;      // Null: no TLS.
  const std::unique_ptr<TokenFile> tokens_;  // Null: no tokens.
  const Access access_;
  std::unique_ptr<Ticker> reloader_;  // Last: it uses what is above.
};

}  // namespace attn
