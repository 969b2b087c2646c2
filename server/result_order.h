// In which order the results of a stream leave it: those of one lane (a
// session, or a whole stream) in the order in which their requests came, others
// as they finish.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace attn {

// Thread-compatible.
template <typename Result>
class ResultOrder {
 public:
  // Request `id` came, whose result belongs to this lane. Requests that are not
  // told of here have no order. REQUIRES: ids rise.
  void Expect(uint64_t id, std::string_view lane) {
    entries_.push_back({.id = id, .lane = std::string(lane)});
  }

  // The result of request `id`: it, and those that waited for it alone, go to
  // the end of `ready`. Looks at what is under way, at most 256 requests.
  void Add(uint64_t id, Result result, std::deque<Result>& ready) {
    const auto entry =
        std::find_if(entries_.begin(), entries_.end(),
                     [id](const Entry& each) { return each.id == id; });
    if (entry == entries_.end()) {
      ready.push_back(std::move(result));
      return;
    }
    entry->result = std::move(result);
    ++num_held_;
    Release(std::string(entry->lane), ready);
  }

  // Forgets all requests and results.
  void Clear() {
    entries_.clear();
    num_held_ = 0;
  }

  // Results that wait for those of earlier requests.
  size_t num_held() const { return num_held_; }

 private:
  struct Entry {
    uint64_t id = 0;
    std::string lane;
    std::optional<Result> result = std::nullopt;
  };

  // From the lane's front on, up to the first that has no result yet.
  void Release(const std::string& lane, std::deque<Result>& ready) {
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      if (entry->lane != lane) {
        ++entry;
        continue;
      }
      if (!entry->result.has_value()) return;
      ready.push_back(*std::move(entry->result));
      entry = entries_.erase(entry);
      --num_held_;
    }
  }

  std::deque<Entry> entries_;  // In the order of arrival.
  size_t num_held_ = 0;
};

}  // namespace attn
