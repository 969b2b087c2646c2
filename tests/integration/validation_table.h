// The tables of rules in proto/README.md ("What is checked, in this order", and
// that of Forward), as data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace attn::test {

// One row: what it promises of a request that breaks the rule.
struct TableRow {
  std::string rule;
  std::string reason;   // "INVALID_TENSOR"
  std::string field;    // "" where no field is named.
  std::string message;  // "…" stands for any text.
};

// Rows of the table under the heading, in their order; none where there is no
// such heading. A row that has not four cells comes with what it has.
std::vector<TableRow> ReadTable(const std::string& path,
                                std::string_view heading);

// Whether `text` is what `pattern` says.
bool Matches(std::string_view pattern, std::string_view text);

// What differs between the row and the answer to a request that breaks its
// rule; "" where nothing does.
std::string Difference(const TableRow& row, const absl::Status& status);

}  // namespace attn::test
