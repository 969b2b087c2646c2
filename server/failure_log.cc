#include "server/failure_log.h"

#include <utility>

namespace attn {
namespace {

constexpr size_t kMaxClasses = 64;
constexpr std::string_view kOtherClass = "other";

}  // namespace

FailureLog::FailureLog(const Log& log, const Clock& clock, Duration interval)
    : log_(log), clock_(clock), interval_(interval) {}

bool FailureLog::MayWrite(std::string_view& failure_class,
                          int64_t& num_suppressed) {
  const TimePoint now = clock_.Now();
  absl::MutexLock lock(&mutex_);
  if (states_.size() >= kMaxClasses && !states_.contains(failure_class)) {
    failure_class = kOtherClass;
  }
  const auto [found, is_new] = states_.try_emplace(std::string(failure_class));
  ClassState& state = found->second;
  if (!is_new && now < state.next_line) {
    ++state.num_suppressed;
    return false;
  }
  state.next_line = now + interval_;
  num_suppressed = std::exchange(state.num_suppressed, 0);
  return true;
}

void FailureLog::Report(std::string_view failure_class,
                        std::string_view message,
                        std::initializer_list<LogField> fields) {
  int64_t num_suppressed = 0;
  if (!MayWrite(failure_class, num_suppressed)) return;
  std::vector<LogField> all{{"class", failure_class}};
  all.insert(all.end(), fields.begin(), fields.end());
  if (num_suppressed > 0) all.emplace_back("suppressed", num_suppressed);
  log_.Write(LogLevel::kWarning, message, all);
}

void FailureLog::Flush() {
  std::vector<std::pair<std::string, int64_t>> pending;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [name, state] : states_) {
      if (state.num_suppressed == 0) continue;
      pending.emplace_back(name, std::exchange(state.num_suppressed, 0));
    }
  }
  for (const auto& [name, num_suppressed] : pending) {
    log_.Warning("failures were not logged one by one",
                 {{"class", name}, {"suppressed", num_suppressed}});
  }
}

}  // namespace attn
