#include <memory>
#include <vector>

#include "absl/synchronization/notification.h"
#include "core/base/check.h"
#include "core/engine/session_calls.h"
#include "core/kv_cache/session_store.h"
#include "tests/bench/instructions/workload.h"
#include "tests/support/engine_runner.h"

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

ReadBytes ReaderOf(const std::vector<std::byte>& tensor) {
  return [&tensor](int64_t offset, int64_t bytes, std::byte* to) {
    std::copy_n(tensor.begin() + offset, bytes, to);
  };
}

// One step of one token on a session of each KV dtype, one after another.
class Steps {
 public:
  Steps() {
    for (const KvDtype dtype :
         {KvDtype::kF32, KvDtype::kF16, KvDtype::kBF16, KvDtype::kInt8}) {
      sessions_.push_back(Filled(dtype));
    }
    // It only asks, so that passes are alike.
    step_.spec.key.is_present = step_.spec.value.is_present = false;
  }

  void Run() {
    for (const SessionPtr& session : sessions_) {
      auto task =
          PrepareSessionTask(engine_.engine(), CallOn(*session, step_), wants_);
      ATTN_CHECK(task.ok());
      absl::Notification done;
      engine_.engine().Submit(*task,
                              [&done](AttentionTask&) { done.Notify(); });
      done.WaitForNotification();
      ATTN_CHECK((*task)->status().ok());
    }
  }

 private:
  SessionPtr Filled(KvDtype dtype) {
    const auto session =
        store_.Create("", {.num_layers = 1,
                           .num_kv_heads = tokens_.plan.geometry.num_kv_heads,
                           .head_dim = tokens_.plan.geometry.head_dim,
                           .value_head_dim = tokens_.plan.geometry.head_dim,
                           .kv_dtype = dtype,
                           .window = 0});
    ATTN_CHECK(session.ok());
    ATTN_CHECK(AppendTokens(CallOn(**session, tokens_), nullptr, nullptr).ok());
    return *session;
  }

  static SessionCall CallOn(Session& session, const test::AttentionCase& c) {
    return {.session = session,
            .layer = 0,
            .expected_length = {},
            .spec = c.spec,
            .append = {},
            .tensors = {.layout = c.spec.layout,
                        .key = {c.spec.key.dtype, ReaderOf(c.key)},
                        .value = {c.spec.value.dtype, ReaderOf(c.value)}}};
  }

  const test::AttentionCase tokens_ = test::MakeCase(Sized(1, kTokens, 1));
  test::AttentionCase step_ = test::MakeCase(Sized(4, 1, 2));
  const TaskRequest wants_ = {
      .limits = {},
      .options = {},
      .check_reply = [](const AttentionPlan&) { return absl::OkStatus(); },
      .copy_inputs = [this](AttentionTask& t) { test::CopyInputs(step_, t); }};

  SteadyClock clock_;
  NullSessionMetrics metrics_;
  uint64_t next_random_ = 1;
  PagePool pool_{int64_t{16} << 20};
  SessionStore store_{
      SessionLimits{},
      {.pool = pool_, .clock = clock_, .metrics = metrics_, .random = [this] {
         return next_random_++;
       }}};
  std::vector<SessionPtr> sessions_;
  test::EngineRunner engine_{/*num_workers=*/1};
};

}  // namespace

Workload DecodeWorkload() {
  const auto steps = std::make_shared<Steps>();
  return [steps] {
    for (int i = 0; i < 10; ++i) steps->Run();
  };
}

}  // namespace attn::bench
