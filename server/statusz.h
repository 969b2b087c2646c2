// /statusz: one page that says what this server is and does, for people (HTML)
// and programs (JSON). The HTML is a table that reads well by itself; a script
// asks for the JSON once a second and adds charts of the last minutes. Both
// come with the style from this server alone (statusz/, built in).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "server/http_endpoint.h"
#include "server/prometheus_metrics.h"

namespace attn {

struct StatuszFacts {
  std::string version;
  std::string onednn;  // Version of the matrix library, "" if there is none.
  std::string isa;     // What was chosen, e.g. "AVX3_DL".
  std::string huge_pages;  // ReadHugePages()
  Duration uptime{};
  bool ready = false;
  int workers = 0;
  EngineTotals totals;
  LoadDistributions distributions;
  SessionTotals sessions;
  int64_t kv_bytes_limit = 0;
  LayerTotals layers;
  int64_t layer_bytes_limit = 0;
  int64_t pool_bytes = 0;
  int64_t resident_bytes = 0;  // Of the process.
  std::string config;          // PrintConfig()
};

std::string RenderStatuszHtml(const StatuszFacts& facts);

// One object of the facts: numbers in base units, counts since the start, null
// for a percentile of nothing; `config` is a string. `histograms` has for each
// distribution its `bounds`, its `counts` up to each bound and, last, of all,
// and its `sum`: two answers make the percentiles of the time in between.
std::string RenderStatuszJson(const StatuszFacts& facts);

// What the page loads: script and style.
std::vector<HttpFile> StatuszFiles();

}  // namespace attn
