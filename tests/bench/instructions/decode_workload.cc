#include <memory>
#include <vector>

#include "core/base/check.h"
#include "tests/bench/instructions/workload.h"
#include "tests/support/session_runner.h"

namespace attn::bench {
namespace {

constexpr int64_t kTokens = 192;

test::CaseOptions Sized(int64_t group, int64_t length, uint64_t seed) {
  test::CaseOptions options;
  options.num_kv_heads = 2;
  options.num_q_heads = 2 * group;
  options.q_len = options.kv_len = length;
  options.head_dim = options.value_head_dim = 64;
  options.seed = seed;
  return options;
}

// One step of one token on a session of each KV dtype, one after another.
class Steps {
 public:
  Steps() {
    const test::AttentionCase tokens = test::MakeCase(Sized(1, kTokens, 1));
    for (const KvDtype dtype :
         {KvDtype::kF32, KvDtype::kF16, KvDtype::kBF16, KvDtype::kInt8}) {
      sessions_.push_back(runner_.Create(tokens, dtype));
      ATTN_CHECK(runner_.Append(*sessions_.back(), tokens, {}).ok());
    }
    // It only asks, so that passes are alike.
    step_.spec.key.is_present = step_.spec.value.is_present = false;
  }

  void Run() {
    for (const SessionPtr& session : sessions_) {
      const auto task = runner_.Prepare(*session, step_, {});
      ATTN_CHECK(task.ok());
      runner_.engine().SubmitAndWait(*task);
      ATTN_CHECK((*task)->status().ok());
    }
  }

 private:
  test::AttentionCase step_ = test::MakeCase(Sized(4, 1, 2));
  test::SessionRunner runner_{int64_t{16} << 20, /*num_workers=*/1};
  std::vector<SessionPtr> sessions_;
};

}  // namespace

Workload DecodeWorkload() {
  const auto steps = std::make_shared<Steps>();
  return [steps] {
    for (int i = 0; i < 10; ++i) steps->Run();
  };
}

}  // namespace attn::bench
