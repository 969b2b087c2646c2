#include "core/kv_cache/session_ends.h"

#include <iterator>

namespace attn {

void SessionEnds::Remember(const std::string& id, SessionEnd end,
                           TimePoint now) {
  Forget(id);
  by_age_.push_back({id, end, now});
  by_id_.emplace(by_age_.back().id, std::prev(by_age_.end()));
  if (size() > kMaxEnds) Forget(by_age_.front().id);
}

void SessionEnds::Forget(const std::string& id) {
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) return;
  // The list's node holds the key, and perhaps `id` itself.
  const auto node = it->second;
  by_id_.erase(it);
  by_age_.erase(node);
}

void SessionEnds::ForgetOld(TimePoint now) {
  while (!by_age_.empty() && now - by_age_.front().at >= kRemembered) {
    Forget(by_age_.front().id);
  }
}

std::optional<SessionEnd> SessionEnds::Find(const std::string& id,
                                            TimePoint now) const {
  const auto it = by_id_.find(id);
  if (it == by_id_.end() || now - it->second->at >= kRemembered) {
    return std::nullopt;
  }
  return it->second->end;
}

}  // namespace attn
