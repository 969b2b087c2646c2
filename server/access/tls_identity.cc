#include "server/access/tls_identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>
#include <utility>

#include "core/base/status_macros.h"

namespace attn {
namespace {

template <auto FreeFunction>
struct Free {
  void operator()(auto* pointer) const { FreeFunction(pointer); }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

Bio ReadOnly(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Nobody is there to be asked for one.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writes*/,
                 void* /*data*/) {
  return -1;
}

absl::Status Bad(const char* what) {
  ERR_clear_error();
  return absl::InvalidArgumentError(what);
}

// The first certificate; all must be readable.
absl::StatusOr<Certificate> ReadCertificates(const std::string& text,
                                             const char* rule) {
  const Bio bio = ReadOnly(text);
  Certificate first(
      PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
  if (first == nullptr) return Bad(rule);
  while (const Certificate next{
      PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr)}) {
  }
  const bool is_at_end =
      ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!is_at_end) return Bad(rule);
  ERR_clear_error();
  return first;
}

absl::StatusOr<int64_t> ExpiryOf(const X509& certificate) {
  std::tm expiry{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &expiry) != 1) {
    return Bad("tls-certificate: its end is not a time");
  }
  return int64_t{timegm(&expiry)};
}

}  // namespace

absl::StatusOr<TlsIdentity> MakeTlsIdentity(
    std::string certificate_chain, std::string private_key,
    std::optional<std::string> client_ca) {
  ERR_clear_error();
  ATTN_ASSIGN_OR_RETURN(
      const Certificate certificate,
      ReadCertificates(certificate_chain,
                       "tls-certificate: must hold certificates in PEM"));
  const Bio bio = ReadOnly(private_key);
  const Key key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) {
    return Bad("tls-key: must hold a private key in PEM, without a passphrase");
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return Bad("tls-key: must be the key of tls-certificate");
  }
  if (client_ca.has_value()) {
    ATTN_RETURN_IF_ERROR(
        ReadCertificates(*client_ca,
                         "tls-client-ca: must hold certificates in PEM")
            .status());
  }
  ATTN_ASSIGN_OR_RETURN(const int64_t expiry, ExpiryOf(*certificate));
  return TlsIdentity{.certificate_chain = std::move(certificate_chain),
                     .private_key = std::move(private_key),
                     .client_ca = std::move(client_ca),
                     .expiry_seconds = expiry};
}

}  // namespace attn
