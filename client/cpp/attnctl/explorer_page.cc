#include "client/cpp/attnctl/explorer_page.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/cpp/attnctl/axis_names.h"
#include "client/cpp/attnctl/explorer_text.h"
#include "client/cpp/attnctl/json_text.h"
#include "client/cpp/attnctl/named_weights.h"

namespace attn::attnctl {
namespace {

// 90 MB of text; Chromium shows it within some seconds.
constexpr size_t kMaxWeights = size_t{32} << 20;
// A canvas is no larger in any direction.
constexpr size_t kMaxNames = 16384;
constexpr float kSteps = 65535.0F;

absl::Status CheckSize(const NamedWeights& weights) {
  if (weights.values.size() <= kMaxWeights &&
      std::max(weights.rows(), weights.columns()) <= kMaxNames) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "html: a page takes at most ", kMaxNames, " rows and keys and ",
      kMaxWeights, " weights; got ", weights.heads, " heads x ", weights.rows(),
      " rows x ", weights.columns(), " keys"));
}

// What the page shows first.
struct Start {
  std::optional<size_t> head;  // None: the mean of all.
  size_t row = 0;
};

absl::StatusOr<Start> FindStart(const NamedWeights& weights,
                                const WeightsViewOptions& options) {
  const absl::StatusOr<std::optional<size_t>> head =
      FindHead(options.head == "all" ? "mean" : options.head, weights.heads);
  if (!head.ok()) {
    return head.status();
  }
  const absl::StatusOr<size_t> row =
      options.row.empty() ? size_t{0}
                          : FindName("row", options.row, weights.row_names);
  if (!row.ok()) {
    return row.status();
  }
  return Start{*head, *row};
}

// NaN and what is below 0 become 0.
uint16_t Quantise(float weight) {
  return weight > 0.0F ? static_cast<uint16_t>(
                             std::lround(std::min(weight, 1.0F) * kSteps))
                       : 0;
}

// Little-endian 16-bit steps in base64.
std::string Packed(absl::Span<const float> weights) {
  std::string bytes;
  bytes.reserve(2 * weights.size());
  for (const float weight : weights) {
    const uint16_t step = Quantise(weight);
    bytes.push_back(static_cast<char>(step & 0xFF));
    bytes.push_back(static_cast<char>(step >> 8));
  }
  return absl::Base64Escape(bytes);
}

std::string JsonList(const std::vector<std::string>& names) {
  return absl::StrCat("[",
                      absl::StrJoin(names, ",",
                                    [](std::string* out, const auto& name) {
                                      out->append(JsonString(name));
                                    }),
                      "]");
}

// JSON for a <script>: there "</script" and "<!--" would be markup wherever
// they stand, so no "<" is left as it is.
std::string PageData(const NamedWeights& weights, const Start& start) {
  const std::string object =
      JsonObject({{"heads", absl::StrCat(weights.heads)},
                  {"queries", JsonList(weights.row_names)},
                  {"keys", JsonList(weights.column_names)},
                  {"head", start.head ? absl::StrCat(*start.head) : "null"},
                  {"query", absl::StrCat(start.row)},
                  {"steps", absl::StrCat(kSteps)},
                  {"weights", JsonString(Packed(weights.values))}});
  return absl::StrReplaceAll(object, {{"<", "\\u003c"}});
}

}  // namespace

absl::StatusOr<std::string> RenderExplorer(const client::Tensor& weights,
                                           const WeightsViewOptions& options) {
  const absl::StatusOr<NamedWeights> named =
      NameWeights(weights, options.tokens);
  if (!named.ok()) {
    return named.status();
  }
  if (absl::Status status = CheckSize(*named); !status.ok()) {
    return status;
  }
  const absl::StatusOr<Start> start = FindStart(*named, options);
  if (!start.ok()) {
    return start.status();
  }
  return absl::StrReplaceAll(kExplorerPage,
                             {{"{{style}}", kExplorerStyle},
                              {"{{script}}", kExplorerScript},
                              {"{{data}}", PageData(*named, *start)}});
}

}  // namespace attn::attnctl
