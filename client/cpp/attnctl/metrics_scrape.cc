#include "client/cpp/attnctl/metrics_scrape.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/http_get.h"

namespace attn::attnctl {

void AddHttpFlag(CLI::App& app, std::string& address) {
  app.add_option("--http", address,
                 absl::StrCat("HTTP address of the server (default ",
                              kDefaultHttpAddress, ")"))
      ->envname("ATTNCTL_HTTP");
}

absl::StatusOr<std::string> FetchMetrics(const std::string& address,
                                         absl::Duration timeout,
                                         const std::string& token) {
  return HttpGet(address, "/metrics", timeout, token);
}

absl::StatusOr<MetricSet> ScrapeMetrics(const std::string& address,
                                        absl::Duration timeout,
                                        const std::string& token) {
  const absl::StatusOr<std::string> text =
      FetchMetrics(address, timeout, token);
  if (!text.ok()) {
    return text.status();
  }
  absl::StatusOr<MetricSet> metrics = MetricSet::Parse(*text);
  if (!metrics.ok()) {
    // The server's fault, not that of the flags.
    return absl::InternalError(metrics.status().message());
  }
  return metrics;
}

int PrintScrapeError(const absl::Status& status) {
  return absl::IsInvalidArgument(status) ? PrintUsageError(status)
                                         : PrintCallError(status);
}

}  // namespace attn::attnctl
