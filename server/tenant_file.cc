#include "server/tenant_file.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status_macros.h"
#include "server/absl_view.h"
#include "server/access/reloaded_files.h"
#include "server/access/tenant_name.h"
#include "server/units.h"

namespace attn {
namespace {

// Labels of metrics, all of them at each scrape.
constexpr size_t kMaxNamed = 1000;
// What the metrics call all those that are not named.
constexpr absl::string_view kOther = "other";

struct Grant {
  std::string_view name;
  std::function<absl::Status(std::string_view, TenantLimits&)> parse;
};

template <typename T>
absl::Status Assign(const absl::StatusOr<T>& value, auto& field) {
  if (!value.ok()) return value.status();
  field = static_cast<std::remove_reference_t<decltype(field)>>(*value);
  return absl::OkStatus();
}

std::string_view ZeroForOff(std::string_view text) {
  return text == "off" ? "0" : text;
}

const std::array<Grant, 4>& Grants() {
  static const std::array<Grant, 4> grants{{
      {"weight",
       [](std::string_view text, TenantLimits& limits) {
         return Assign(ParseInteger(text, {1, 1000}), limits.weight);
       }},
      {"kv-memory",
       [](std::string_view text, TenantLimits& limits) {
         return Assign(ParseBytes(ZeroForOff(text), {0, int64_t{1} << 50}),
                       limits.max_kv_bytes);
       }},
      {"max-sessions",
       [](std::string_view text, TenantLimits& limits) {
         return Assign(ParseInteger(ZeroForOff(text), {0, 100'000'000}),
                       limits.max_sessions);
       }},
      {"queue-share",
       [](std::string_view text, TenantLimits& limits) {
         return Assign(ParseShare(text), limits.queue_share);
       }},
  }};
  return grants;
}

absl::Status AtLine(int line, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", message));
}

absl::Status ApplyGrant(absl::string_view word,
                        std::set<absl::string_view>& seen,
                        TenantLimits& limits) {
  const size_t equals = word.find('=');
  const absl::string_view name = word.substr(0, equals);
  const auto grant = std::ranges::find_if(Grants(), [&](const Grant& known) {
    return AbslView(known.name) == name;
  });
  if (equals == absl::string_view::npos || grant == Grants().end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "must be weight=, kv-memory=, max-sessions= or queue-share= after the "
        "tenant; got \"",
        word, "\""));
  }
  if (!seen.insert(name).second) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " must be given once"));
  }
  const absl::string_view value = word.substr(equals + 1);
  absl::Status status = grant->parse({value.data(), value.size()}, limits);
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(name, " ", status.message()));
}

absl::StatusOr<NamedTenant> ParseLine(absl::string_view text,
                                      const TenantLimits& defaults) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  NamedTenant tenant{std::string(words[0]), defaults};
  if (!IsTenantName(tenant.name) || tenant.name == kOther) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a tenant must be 1 to 128 of A-Z a-z 0-9 . _ : / @ - and not \"",
        kOther, "\"; got \"", words[0], "\""));
  }
  std::set<absl::string_view> seen;
  for (size_t i = 1; i < words.size(); ++i) {
    ATTN_RETURN_IF_ERROR(ApplyGrant(words[i], seen, tenant.limits));
  }
  return tenant;
}

}  // namespace

absl::StatusOr<std::vector<NamedTenant>> ParseTenants(
    std::string_view text, const TenantLimits& defaults) {
  std::vector<NamedTenant> tenants;
  std::set<std::string> names;
  int line = 0;
  for (const absl::string_view raw : absl::StrSplit(AbslView(text), '\n')) {
    ++line;
    const absl::string_view trimmed = absl::StripAsciiWhitespace(raw);
    if (trimmed.empty() || trimmed.front() == '#') continue;
    auto tenant = ParseLine(trimmed, defaults);
    if (!tenant.ok()) return AtLine(line, tenant.status().message());
    if (!names.insert(tenant->name).second) {
      return AtLine(line, absl::StrCat("a tenant must be given once; got \"",
                                       tenant->name, "\" again"));
    }
    if (tenants.size() == kMaxNamed) {
      return AtLine(
          line, absl::StrCat("there must be at most ", kMaxNamed, " tenants"));
    }
    tenants.push_back(*std::move(tenant));
  }
  return tenants;
}

absl::StatusOr<std::vector<NamedTenant>> ReadTenants(
    const std::string& path, const TenantLimits& defaults) {
  ATTN_ASSIGN_OR_RETURN(const std::vector<std::string> texts,
                        ReadFilesAtOnce({path}));
  auto tenants = ParseTenants(texts.front(), defaults);
  if (tenants.ok()) return tenants;
  return absl::InvalidArgumentError(
      absl::StrCat(path, " ", tenants.status().message()));
}

}  // namespace attn
