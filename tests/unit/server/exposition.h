// Reads single samples out of a /metrics page.
#pragma once

#include <optional>
#include <sstream>
#include <string>

namespace attn {

// The value of the sample whose name and labels stand exactly so in the page.
inline std::optional<double> SampleOf(const std::string& page,
                                      const std::string& series) {
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, series.size() + 1, series + ' ') != 0) continue;
    return std::stod(line.substr(series.size() + 1));
  }
  return std::nullopt;
}

}  // namespace attn
