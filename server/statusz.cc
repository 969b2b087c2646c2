#include "server/statusz.h"

#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "server/absl_view.h"
#include "server/json_text.h"
#include "server/units.h"

namespace attn {
namespace {

constexpr char kStyle[] =
    "body{font:14px system-ui,sans-serif;margin:2em;max-width:60em}"
    "table{border-collapse:collapse}td{padding:.2em 1.5em .2em 0}"
    "td+td{font-variant-numeric:tabular-nums}h2{margin:1.2em 0 .4em}"
    "pre{background:#8882;padding:1em;overflow:auto}"
    ":root{color-scheme:light dark}";

// One row of the page and one key of the object.
struct Fact {
  std::string_view section;
  std::string_view label;
  std::string_view key;
  std::string shown;
  std::string json;
};

Fact TextFact(std::string_view section, std::string_view label,
              std::string_view key, const std::string& text) {
  return {section, label, key, text.empty() ? "none" : text, JsonString(text)};
}

Fact NumberFact(std::string_view section, std::string_view label,
                std::string_view key, int64_t number) {
  const std::string text = absl::StrCat(number);
  return {section, label, key, text, text};
}

Fact BytesFact(std::string_view section, std::string_view label,
               std::string_view key, int64_t bytes) {
  const double mebibytes = static_cast<double>(bytes) / (1 << 20);
  return {section, label, key, absl::StrFormat("%.1f MiB", mebibytes),
          absl::StrCat(bytes)};
}

void AddServer(const StatuszFacts& facts, std::vector<Fact>& rows) {
  constexpr std::string_view kSection = "Server";
  rows.push_back(TextFact(kSection, "Version", "version", facts.version));
  rows.push_back(TextFact(kSection, "oneDNN", "onednn", facts.onednn));
  rows.push_back(TextFact(kSection, "Instruction set", "isa", facts.isa));
  rows.push_back({kSection, "Uptime", "uptime_seconds",
                  absl::StrFormat("%.0f s", ToSeconds(facts.uptime)),
                  absl::StrFormat("%.3f", ToSeconds(facts.uptime))});
  rows.push_back({kSection, "Ready", "ready", facts.ready ? "yes" : "no",
                  facts.ready ? "true" : "false"});
}

void AddLoad(const StatuszFacts& facts, std::vector<Fact>& rows) {
  constexpr std::string_view kSection = "Now";
  const EngineTotals& totals = facts.totals;
  rows.push_back(NumberFact(kSection, "Workers", "workers", facts.workers));
  rows.push_back(NumberFact(kSection, "Workers busy", "workers_busy",
                            totals.workers_busy));
  rows.push_back(
      NumberFact(kSection, "Tasks waiting", "queue_depth", totals.queue_depth));
  rows.push_back(
      BytesFact(kSection, "Bytes waiting", "queue_bytes", totals.queue_bytes));
  rows.push_back(BytesFact(kSection, "Bytes in flight", "inflight_bytes",
                           totals.inflight_bytes));
  rows.push_back(
      BytesFact(kSection, "Buffer pool", "pool_bytes", facts.pool_bytes));
}

void AddTasks(const StatuszFacts& facts, std::vector<Fact>& rows) {
  const EngineTotals& totals = facts.totals;
  const auto add = [&rows](std::string_view label, std::string_view key,
                           int64_t count) {
    rows.push_back(NumberFact("Tasks since the start", label, key, count));
  };
  add("Admitted", "tasks_admitted", totals.admitted);
  add("Completed", "tasks_completed", totals.completed);
  add("Failed", "tasks_failed", totals.failed);
  add("Shed", "tasks_shed", totals.shed);
  add("Expired", "tasks_expired", totals.expired);
  add("Cancelled", "tasks_cancelled", totals.cancelled);
  add("Batches", "batches", totals.batches);
}

std::vector<Fact> Rows(const StatuszFacts& facts) {
  std::vector<Fact> rows;
  AddServer(facts, rows);
  AddLoad(facts, rows);
  AddTasks(facts, rows);
  return rows;
}

std::string EscapeHtml(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"},
                                    {"<", "&lt;"},
                                    {">", "&gt;"},
                                    {"\"", "&quot;"},
                                    {"'", "&#39;"}});
}

}  // namespace

std::string RenderStatuszHtml(const StatuszFacts& facts) {
  std::string page = absl::StrCat(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<title>attnserve</title><style>",
      kStyle, "</style></head><body>\n<h1>attnserve</h1>\n");
  std::string_view section;
  for (const Fact& row : Rows(facts)) {
    if (row.section != section) {
      absl::StrAppend(&page, section.empty() ? "" : "</table>\n", "<h2>",
                      AbslView(row.section), "</h2>\n<table>\n");
      section = row.section;
    }
    absl::StrAppend(&page, "<tr><td>", AbslView(row.label), "</td><td>",
                    EscapeHtml(row.shown), "</td></tr>\n");
  }
  absl::StrAppend(&page, "</table>\n<h2>Settings</h2>\n<pre>",
                  EscapeHtml(facts.config),
                  "</pre>\n<p><a href=\"/metrics\">metrics</a> "
                  "<a href=\"/statusz?format=json\">as JSON</a></p>\n"
                  "</body></html>\n");
  return page;
}

std::string RenderStatuszJson(const StatuszFacts& facts) {
  std::string object = "{";
  for (const Fact& row : Rows(facts)) {
    absl::StrAppend(&object, JsonString(row.key), ":", row.json, ",");
  }
  absl::StrAppend(&object, "\"config\":", JsonString(facts.config), "}\n");
  return object;
}

}  // namespace attn
