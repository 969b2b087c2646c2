// `attnctl stats`: /metrics of a server, read for humans.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/metrics_scrape.h"
#include "client/cpp/attnctl/output_flag.h"
#include "client/cpp/attnctl/stats_report.h"

namespace attn::attnctl {
namespace {

struct StatsFlags {
  std::string http = kDefaultHttpAddress;
  bool raw = false;
  bool json = false;
};

// What `stats` prints.
absl::StatusOr<std::string> Stats(const StatsFlags& flags,
                                  const GlobalOptions& globals) {
  if (flags.raw) {
    return FetchMetrics(flags.http, globals.timeout, globals.token);
  }
  const absl::StatusOr<MetricSet> metrics =
      ScrapeMetrics(flags.http, globals.timeout, globals.token);
  if (!metrics.ok()) {
    return metrics.status();
  }
  return flags.json ? RenderStatsJson(*metrics) : RenderStats(*metrics);
}

int RunStats(const StatsFlags& flags, const GlobalOptions& globals) {
  const absl::StatusOr<std::string> text = Stats(flags, globals);
  if (!text.ok()) {
    return PrintScrapeError(text.status());
  }
  std::fputs(text->c_str(), stdout);
  return kExitOk;
}

}  // namespace

void AddStatsCommand(CLI::App& app, const GlobalOptions& globals,
                     Action& action) {
  CLI::App* command = app.add_subcommand(
      "stats", "Print the key figures of a server's metrics");
  auto flags = std::make_shared<StatsFlags>();
  AddHttpFlag(*command, flags->http);
  CLI::Option* raw =
      command->add_flag("--raw", flags->raw, "Print /metrics as it is");
  AddJsonFlags(*command, flags->json)->excludes(raw);
  command->callback([flags, &globals, &action] {
    action = [flags, &globals] { return RunStats(*flags, globals); };
  });
}

}  // namespace attn::attnctl
