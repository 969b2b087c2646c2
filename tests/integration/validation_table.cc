#include "tests/integration/validation_table.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/cpp/error_details.h"

namespace attn::test {
namespace {

constexpr std::string_view kAny = "…";

bool IsTableLine(const std::string& line) {
  return !line.empty() && line.front() == '|';
}

// "| a | b |" is a, b.
std::vector<std::string> Cells(std::string_view line) {
  line.remove_prefix(1);
  if (!line.empty() && line.back() == '|') line.remove_suffix(1);
  std::vector<std::string> cells =
      absl::StrSplit(absl::string_view(line.data(), line.size()), '|');
  for (std::string& cell : cells) absl::StripAsciiWhitespace(&cell);
  return cells;
}

absl::StatusCode CodeOf(const std::string& reason) {
  if (reason == "REQUEST_TOO_LARGE") {
    return absl::StatusCode::kResourceExhausted;
  }
  if (reason == "LAYER_NOT_LOADED" || reason == "SESSION_NEVER_EXISTED") {
    return absl::StatusCode::kNotFound;
  }
  if (reason == "SPEC_MISMATCH" || reason == "LENGTH_MISMATCH" ||
      reason == "MAX_LENGTH") {
    return absl::StatusCode::kFailedPrecondition;
  }
  return absl::StatusCode::kInvalidArgument;
}

}  // namespace

std::vector<TableRow> ReadTable(const std::string& path,
                                std::string_view heading) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line) && line != heading) {
  }
  std::vector<TableRow> rows;
  int num_lines = 0;
  while (std::getline(file, line) && line.rfind("## ", 0) != 0) {
    // The first two are the head of the table.
    if (!IsTableLine(line) || ++num_lines <= 2) continue;
    std::vector<std::string> cells = Cells(line);
    cells.resize(4);
    rows.push_back({cells[0], cells[1], cells[2], cells[3]});
  }
  return rows;
}

bool Matches(std::string_view pattern, std::string_view text) {
  const size_t any = pattern.find(kAny);
  if (any == std::string_view::npos) return pattern == text;
  if (text.substr(0, any) != pattern.substr(0, any)) return false;
  const std::string_view rest = pattern.substr(any + kAny.size());
  for (size_t start = any; start <= text.size(); ++start) {
    if (Matches(rest, text.substr(start))) return true;
  }
  return false;
}

std::string Difference(const TableRow& row, const absl::Status& status) {
  std::string found;
  for (const auto& violation : client::FieldViolations(status)) {
    absl::StrAppend(&found, found.empty() ? "" : ", ", violation.field);
  }
  const bool is_as_promised =
      status.code() == CodeOf(row.reason) &&
      client::ErrorReason(status) == row.reason && found == row.field &&
      Matches(row.message, std::string(status.message()));
  if (is_as_promised) return "";
  return absl::StrCat("row: ", row.rule, "\n  promised ", row.reason, " | ",
                      row.field, " | ", row.message, "\n  found    ",
                      client::ErrorReason(status), " | ", found, " | ",
                      std::string(status.message()));
}

}  // namespace attn::test
