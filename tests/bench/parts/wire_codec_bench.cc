// Messages to requests and back, without gRPC.
#include <string>
#include <vector>

#include "core/base/check.h"
#include "server/wire_codec.h"
#include "tests/bench/parts/counters.h"
#include "tests/bench/parts/wire_messages.h"
#include "tests/support/engine_runner.h"

namespace attn::bench {
namespace {

// Both passes, into memory that is there already.
void WireDecode(benchmark::State& state, std::string (*make)()) {
  const std::string message = make();
  std::vector<std::byte> target(message.size());
  while (state.KeepRunning()) {
    DecodeInto(Fragments(message), target);
    benchmark::ClobberMemory();
  }
  CountBytes(state, static_cast<int64_t>(message.size()));
  CountItems(state, 1);
}

BENCHMARK_CAPTURE(WireDecode, 4_mib, LargeRequest);
BENCHMARK_CAPTURE(WireDecode, decode_step, DecodeStepRequest);

// What a finished task answers; tensors are borrowed, not copied.
void WireEncode(benchmark::State& state, int64_t num_heads, int64_t length) {
  test::CaseOptions options;
  options.num_q_heads = options.num_kv_heads = num_heads;
  options.q_len = options.kv_len = length;
  options.head_dim = options.value_head_dim = 128;
  const test::AttentionCase made = test::MakeCase(options);
  test::EngineRunner runner(/*num_workers=*/1);
  auto task = runner.engine().Prepare(made.plan, {});
  ATTN_CHECK(task.ok());
  test::CopyInputs(made, **task);
  runner.SubmitAndWait(*task);

  const AttendOutcome outcome{.request_id = "id-1", .task = *task};
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(EncodeResponse(outcome).size());
  }
  CountItems(state, 1);
}

BENCHMARK_CAPTURE(WireEncode, 4_mib, 8, 1024);
BENCHMARK_CAPTURE(WireEncode, decode_step, 32, 1);

}  // namespace
}  // namespace attn::bench
