// A server's /metrics: the flag that says where, the GET, and what its errors
// are to attnctl.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cpp/attnctl/prometheus_text.h"

namespace CLI {
class App;
}

namespace attn::attnctl {

inline constexpr char kDefaultHttpAddress[] = "127.0.0.1:8002";

// --http; `address` holds the default and must outlive the parse.
void AddHttpFlag(CLI::App& app, std::string& address);

// The text of /metrics at `address`, with this bearer token, "" for none.
// Errors: as HttpGet.
absl::StatusOr<std::string> FetchMetrics(const std::string& address,
                                         absl::Duration timeout,
                                         const std::string& token);

// The same, parsed. Errors: as HttpGet, and INTERNAL for another text.
absl::StatusOr<MetricSet> ScrapeMetrics(const std::string& address,
                                        absl::Duration timeout,
                                        const std::string& token);

// Prints an error of the two above; the exit code. A bad address is a usage
// error.
int PrintScrapeError(const absl::Status& status);

}  // namespace attn::attnctl
