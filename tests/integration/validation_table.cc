#include "tests/integration/validation_table.h"

#include <fstream>

#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

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

}  // namespace attn::test
