#include "server/access/entrance.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "server/absl_view.h"

namespace attn {
namespace {

absl::StatusOr<std::unique_ptr<ReloadedFiles<TlsIdentity>>> OpenTls(
    const EntranceFiles& files) {
  std::vector<std::string> paths = {files.tls_certificate, files.tls_key};
  if (!files.tls_client_ca.empty()) paths.push_back(files.tls_client_ca);
  return ReloadedFiles<TlsIdentity>::Open(
      std::move(paths), [](const std::vector<std::string>& texts) {
        std::optional<std::string> client_ca;
        if (texts.size() > 2) client_ca = texts[2];
        return MakeTlsIdentity(texts[0], texts[1], std::move(client_ca));
      });
}

absl::StatusOr<std::unique_ptr<ReloadedFiles<TokenSet>>> OpenTokens(
    const std::string& path) {
  return ReloadedFiles<TokenSet>::Open(
      {path},
      [](const std::vector<std::string>& texts) -> absl::StatusOr<TokenSet> {
        absl::StatusOr<TokenSet> tokens = TokenSet::Parse(texts[0]);
        if (tokens.ok()) return tokens;
        return absl::InvalidArgumentError(
            absl::StrCat("token-file: ", tokens.status().message()));
      });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Entrance>> Entrance::Open(
    const EntranceFiles& files, Duration reload_interval, const Log& log,
    PrometheusMetrics& metrics) {
  std::unique_ptr<TlsFiles> tls;
  if (!files.tls_certificate.empty()) {
    ATTN_ASSIGN_OR_RETURN(tls, OpenTls(files));
  }
  std::unique_ptr<TokenFile> tokens;
  if (!files.tokens.empty()) {
    ATTN_ASSIGN_OR_RETURN(tokens, OpenTokens(files.tokens));
  }
  std::unique_ptr<Entrance> entrance(
      new Entrance(std::move(tls), !files.tls_client_ca.empty(),
                   std::move(tokens), log, metrics));
  if (entrance->tls_ != nullptr || entrance->tokens_ != nullptr) {
    entrance->reloader_ = std::make_unique<Ticker>(
        reload_interval, [opened = entrance.get()] { opened->Reload(); });
  }
  return entrance;
}

Entrance::Entrance(std::unique_ptr<TlsFiles> tls, bool asks_certificate,
                   std::unique_ptr<TokenFile> tokens, const Log& log,
                   PrometheusMetrics& metrics)
    : log_(log),
      metrics_(metrics),
      tls_(std::move(tls)),
      tokens_(std::move(tokens)),
      access_(tokens_.get(), asks_certificate) {}

absl::StatusOr<Caller> Entrance::Admit(AccessPoint point,
                                       const Credentials& credentials,
                                       Role needed) const {
  absl::StatusOr<Caller> caller = access_.Admit(credentials, needed);
  if (!caller.ok()) {
    metrics_.AccessDenied(point, static_cast<int>(caller.status().code()));
  }
  return caller;
}

absl::StatusOr<Caller> Entrance::AdmitToken(AccessPoint point,
                                            std::string_view token,
                                            Role needed) const {
  if (token.empty()) return Admit(point, {}, needed);
  const std::string value = absl::StrCat("Bearer ", AbslView(token));
  return Admit(point, {.authorization = {value}}, needed);
}

int64_t Entrance::certificate_expiry_seconds() const {
  return tls_ == nullptr ? 0 : tls_->contents()->expiry_seconds;
}

void Entrance::Reload() {
  Reload(CredentialFiles::kTls, tls_.get());
  Reload(CredentialFiles::kTokens, tokens_.get());
}

template <typename Contents>
void Entrance::Reload(CredentialFiles which, ReloadedFiles<Contents>* files) {
  if (files == nullptr) return;
  const absl::StatusOr<ReloadOutcome> outcome = files->Reload();
  if (outcome.ok() && *outcome == ReloadOutcome::kUnchanged) return;
  metrics_.CredentialsReloaded(which, outcome.ok());
  const LogField name("files",
                      kCredentialFilesNames[static_cast<size_t>(which)]);
  if (outcome.ok()) {
    log_.Info("credentials are read again", {name});
  } else {
    log_.Warning("changed credentials are not taken; the old ones stay",
                 {name, {"reason", std::string(outcome.status().message())}});
  }
}

}  // namespace attn
