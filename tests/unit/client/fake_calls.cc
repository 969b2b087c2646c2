#include "tests/unit/client/fake_calls.h"

#include "absl/strings/str_cat.h"

namespace attn::client {

void FakeCalls::Expect(std::vector<FakeOutcome> outcomes) {
  const absl::MutexLock lock(&mutex_);
  outcomes_.assign(outcomes.begin(), outcomes.end());
}

std::vector<std::string> FakeCalls::made() const {
  const absl::MutexLock lock(&mutex_);
  return made_;
}

grpc::Status FakeCalls::Enter(const char* method,
                              const grpc::ServerContext& context) {
  const absl::MutexLock lock(&mutex_);
  std::string key = "-";
  const auto entry = context.client_metadata().find("attn-session-id");
  if (entry != context.client_metadata().end()) {
    key.assign(entry->second.data(), entry->second.size());
  }
  made_.push_back(absl::StrCat(method, " ", key));
  if (outcomes_.empty()) {
    return grpc::Status::OK;
  }
  const FakeOutcome outcome = outcomes_.front();
  outcomes_.pop_front();
  return {static_cast<grpc::StatusCode>(outcome.code), "as told",
          outcome.details};
}

}  // namespace attn::client
