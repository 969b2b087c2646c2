// Sessions as the contract describes them: lists of tokens, and which of them
// are still kept, in which form; and what else a model of the store needs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/base/error.h"
#include "core/kv_cache/session_spec.h"
#include "core/kv_cache/session_store.h"
#include "core/tenant/tenant.h"
#include "gtest/gtest.h"
#include "tests/support/kv_tokens.h"
#include "tests/support/random.h"

namespace attn::test {

// A layer as the contract describes it.
struct LayerModel {
  TokenIds ids;
  // The last append, if it may still be repeated.
  std::optional<int64_t> last_start;
  // The first row that may be asked again: what it sees is still there.
  int64_t oldest_row = 0;
  // In an int8 session: a truncation or a fork ended within a packed page.
  bool is_tail_packed = false;

  int64_t length() const { return std::ssize(ids); }
};

struct SessionModel {
  KvSpec spec;
  TimePoint last_used;
  std::map<int64_t, LayerModel> layers;

  bool IsExpired(TimePoint now) const {
    return now - last_used >= *spec.idle_ttl;
  }
};

// The first token that a row sees.
inline int64_t FirstSeen(const KvSpec& spec, int64_t row) {
  return spec.window == 0 ? 0 : std::max<int64_t>(0, row - spec.window + 1);
}

// Pages that the window has left are those wholly before what the oldest row
// sees.
inline int64_t FirstKept(const KvSpec& spec, const LayerModel& layer) {
  const int64_t first = FirstSeen(spec, layer.oldest_row);
  return first - first % kPageTokens;
}

inline bool Keeps(const KvSpec& spec, const LayerModel& layer, int64_t length) {
  if (length == 0) return true;
  const int64_t first = FirstKept(spec, layer);
  return length <= layer.length() && length >= first &&
         FirstSeen(spec, length) >= first;
}

inline void Cut(LayerModel& layer, int64_t length) {
  if (length == layer.length()) return;
  if (length / kPageTokens < layer.length() / kPageTokens) {
    layer.is_tail_packed = true;
  }
  layer.ids.resize(static_cast<size_t>(length));
  layer.last_start.reset();
  if (length == 0) layer.oldest_row = 0;
}

// Of its pages from `first_token` on.
inline int64_t BytesOf(const KvFormat& format, const LayerModel& layer,
                       int64_t first_token) {
  const int64_t num_full = (layer.length() - first_token) / kPageTokens;
  const int64_t num_open = layer.length() % kPageTokens > 0 ? 1 : 0;
  if (!format.packs_full_pages) {
    return (num_full + num_open) * format.page_bytes();
  }
  return num_full * format.packed_page_bytes() +
         num_open * (layer.is_tail_packed ? format.packed_page_bytes()
                                          : format.page_bytes());
}

// Why sessions are gone: remembered for an hour, perhaps longer.
class EndsModel {
 public:
  void Add(const std::string& name, Reason reason, TimePoint at) {
    ended_[name] = {reason, at};
  }
  // What is wrong with the store's answer; "" if nothing is.
  std::string Compare(const std::string& name, const absl::Status& status,
                      TimePoint now) const {
    const Reason found = ReasonOf(status);
    const auto it = ended_.find(name);
    const bool is_known = it != ended_.end();
    const bool is_fresh =
        is_known && now - it->second.at < std::chrono::minutes(60);
    const bool is_right = is_known && found == it->second.reason;
    const bool is_forgotten =
        !is_fresh && found == Reason::kSessionNeverExisted;
    if (absl::IsNotFound(status) && (is_right || is_forgotten)) return "";
    return absl::StrCat(name, ": ", status.ToString());
  }

 private:
  struct Ended {
    Reason reason = Reason::kNone;
    TimePoint at;
  };
  std::map<std::string, Ended> ended_;
};

// Appends that were refused.
struct Refusals {
  int64_t for_memory = 0;
  int64_t for_quota = 0;
};

// The model calls a session by its tenant's number and its id: "1a".
inline std::string IdOf(const std::string& name) { return name.substr(1); }

// Half of the time a tenant has bounds.
inline TenantLimits RandomTenantLimits(Random& random) {
  if (random.Chance(0.5)) return {};
  return {.max_kv_bytes = random.Between(4, 30) * 1024,
          .max_sessions = random.Between(1, 4)};
}

// A snapshot, and the tokens that it must show as long as it is held.
struct Held {
  const Tenant* tenant = nullptr;
  KvSnapshot snapshot;
  TokenIds ids;

  std::string Compare() const { return CompareWithIds(snapshot, ids); }
};

// Of the pages that the tenant's sessions and what is held of them show, each
// page once. Checks that List gives the tenant's own sessions alone.
inline int64_t ReadableBytes(SessionStore& store, const Tenant& tenant,
                             const std::deque<Held>& held) {
  std::map<const std::byte*, int64_t> bytes_of;
  const auto add = [&bytes_of](const KvSnapshot& snapshot) {
    const ShownPages& pages = *snapshot.pages;
    for (size_t i = 0; i < pages.data.size(); ++i) {
      const PageForm form =
          pages.forms.empty() ? PageForm::kFloat : pages.forms[i];
      bytes_of[pages.data[i]] = snapshot.format.BytesOf(form);
    }
  };
  for (const SessionPtr& session : store.List(tenant, "", 1000)) {
    EXPECT_EQ(&session->tenant(), &tenant);
    for (const auto& layer : session->SnapshotLayers()) add(layer.kv);
  }
  for (const Held& one : held) {
    if (one.tenant == &tenant) add(one.snapshot);
  }
  int64_t sum = 0;
  for (const auto& [page, bytes] : bytes_of) sum += bytes;
  return sum;
}

}  // namespace attn::test
