#include "server/prometheus_access_series.h"

#include <string>
#include <string_view>

#include "server/prometheus_families.h"

namespace attn {
namespace {

constexpr std::array<std::string_view, 2> kDenials{"Unauthenticated",
                                                   "PermissionDenied"};
constexpr std::array<std::string_view, 2> kOutcomes{"ok", "failed"};

}  // namespace

AccessSeries AddAccessSeries(prometheus::Registry& registry) {
  AccessSeries series;
  for (size_t point = 0; point < kAccessPointNames.size(); ++point) {
    for (size_t code = 0; code < kDenials.size(); ++code) {
      series.denied[point][code] = AddCounter(
          registry,
          {"attn_access_denied_total",
           "Calls turned away for their credentials, by port and code."},
          {{"port", std::string(kAccessPointNames[point])},
           {"code", std::string(kDenials[code])}});
    }
  }
  for (size_t files = 0; files < kCredentialFilesNames.size(); ++files) {
    for (size_t outcome = 0; outcome < kOutcomes.size(); ++outcome) {
      series.reloads[files][outcome] = AddCounter(
          registry,
          {"attn_credential_reloads_total",
           "Changes of credential files, and whether they were taken."},
          {{"files", std::string(kCredentialFilesNames[files])},
           {"outcome", std::string(kOutcomes[outcome])}});
    }
  }
  series.certificate_expiry_seconds =
      AddGauge(registry, {"attn_tls_certificate_expiry_timestamp_seconds",
                          "When the served certificate ends, since 1970; 0 "
                          "without TLS."});
  return series;
}

}  // namespace attn
