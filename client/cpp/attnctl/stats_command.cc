// `attnctl stats`: /metrics of a server, read for humans.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/http_get.h"
#include "client/cpp/attnctl/stats_report.h"

namespace attn::attnctl {
namespace {

struct StatsFlags {
  std::string http = "127.0.0.1:8002";
  bool raw = false;
  bool json = false;
};

int RunStats(const StatsFlags& flags, const GlobalOptions& globals) {
  const absl::StatusOr<std::string> text =
      HttpGet(flags.http, "/metrics", globals.timeout);
  if (!text.ok()) {
    return absl::IsInvalidArgument(text.status())
               ? PrintUsageError(text.status())
               : PrintCallError(text.status());
  }
  if (flags.raw) {
    std::fputs(text->c_str(), stdout);
    return kExitOk;
  }
  const absl::StatusOr<MetricSet> metrics = MetricSet::Parse(*text);
  if (!metrics.ok()) {
    return PrintCallError(metrics.status());
  }
  std::fputs(
      (flags.json ? RenderStatsJson(*metrics) : RenderStats(*metrics)).c_str(),
      stdout);
  return kExitOk;
}

}  // namespace

void AddStatsCommand(CLI::App& app, const GlobalOptions& globals,
                     Action& action) {
  CLI::App* command = app.add_subcommand(
      "stats", "Print the key figures of a server's metrics");
  auto flags = std::make_shared<StatsFlags>();
  command
      ->add_option("--http", flags->http,
                   "HTTP address of the server (default 127.0.0.1:8002)")
      ->envname("ATTNCTL_HTTP");
  CLI::Option* raw =
      command->add_flag("--raw", flags->raw, "Print /metrics as it is");
  command->add_flag("--json", flags->json, "Print flat JSON")->excludes(raw);
  command->callback([flags, &globals, &action] {
    action = [flags, &globals] { return RunStats(*flags, globals); };
  });
}

}  // namespace attn::attnctl
