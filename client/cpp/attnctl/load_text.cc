#include "client/cpp/attnctl/load_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace attn::attnctl {

std::string RenderErrors(const LoadFigures& figures) {
  std::string text = figures.errors.empty() ? "" : "\nerrors\n";
  for (const auto& [name, count] : figures.errors) {
    absl::StrAppendFormat(&text, "  %-40s %d\n", name, count);
  }
  return text;
}

void AddErrors(const LoadFigures& figures, JsonEntries& entries) {
  for (const auto& [name, count] : figures.errors) {
    entries.emplace_back("errors: " + name, absl::StrCat(count));
  }
}

}  // namespace attn::attnctl
