// /statusz: one page that says what this server is and does, for people (HTML)
// and programs (JSON). Self-contained: no scripts, no other files.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/clock.h"
#include "server/prometheus_metrics.h"

namespace attn {

struct StatuszFacts {
  std::string version;
  std::string onednn;  // Version of the matrix library, "" if there is none.
  std::string isa;     // What was chosen, e.g. "AVX3_DL".
  Duration uptime{};
  bool ready = false;
  int workers = 0;
  EngineTotals totals;
  int64_t pool_bytes = 0;
  std::string config;  // PrintConfig()
};

std::string RenderStatuszHtml(const StatuszFacts& facts);

// One flat object of the facts, with `config` as a string.
std::string RenderStatuszJson(const StatuszFacts& facts);

}  // namespace attn
