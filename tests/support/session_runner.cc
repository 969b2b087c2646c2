#include "tests/support/session_runner.h"

#include <algorithm>
#include <cstring>

#include "absl/synchronization/blocking_counter.h"

namespace attn::test {
namespace {

ReadBytes ReaderOf(const std::vector<std::byte>& data) {
  return [&data](int64_t offset, int64_t bytes, std::byte* to) {
    if (bytes > 0) {
      std::memcpy(to, data.data() + offset, static_cast<size_t>(bytes));
    }
  };
}

// Rows [first, first + n) of every head of [heads, length, dim].
std::vector<std::byte> CutRows(const std::vector<std::byte>& from,
                               const TensorSpec& spec, int64_t first,
                               int64_t n) {
  const int64_t row = spec.dims[3] * ElementBytes(spec.dtype);
  std::vector<std::byte> rows;
  for (int64_t head = 0; head < spec.dims[1]; ++head) {
    const auto start = from.begin() + (head * spec.dims[2] + first) * row;
    rows.insert(rows.end(), start, start + n * row);
  }
  return rows;
}

void Shorten(TensorSpec& spec, int64_t n) {
  spec.data_bytes = spec.data_bytes / spec.dims[2] * n;
  spec.dims[2] = n;
}

absl::StatusOr<AttentionOutputs> OutputsOf(const AttentionTask& task) {
  if (!task.status().ok()) return task.status();
  return CopyOutputs(task);
}

}  // namespace

SessionRunner::SessionRunner(int64_t max_bytes, int num_workers)
    : pool_(max_bytes),
      store_(SessionLimits{}, {.pool = pool_,
                               .clock = clock_,
                               .metrics = metrics_,
                               .random = [this] { return next_random_++; }}),
      engine_(num_workers) {}

SessionPtr SessionRunner::Create(const AttentionCase& c, KvDtype dtype,
                                 int64_t window, int64_t num_layers) {
  const Geometry& g = c.plan.geometry;
  auto made = store_.Create(tenant_, "",
                            {.num_layers = num_layers,
                             .num_kv_heads = g.num_kv_heads,
                             .head_dim = g.head_dim,
                             .value_head_dim = g.value_head_dim,
                             .kv_dtype = dtype,
                             .window = window});
  ATTN_CHECK(made.ok());
  return *made;
}

SessionCall SessionRunner::MakeCall(Session& session, const AttentionCase& c,
                                    const Call& call) {
  return {
      .session = session,
      .layer = call.layer,
      .expected_length = call.expected_length,
      .spec = c.spec,
      .append = {.num_tokens = 0, .hash_low = call.fingerprint, .hash_high = 0},
      .tensors = {.layout = c.spec.layout,
                  .key = {c.spec.key.dtype, ReaderOf(c.key)},
                  .value = {c.spec.value.dtype, ReaderOf(c.value)}}};
}

absl::StatusOr<AttentionTaskPtr> SessionRunner::Prepare(Session& session,
                                                        const AttentionCase& c,
                                                        const Call& call) {
  return PrepareSessionTask(
      engine_.engine(), MakeCall(session, c, call),
      {.limits = {},
       .options = {.priority = call.priority},
       .check_reply = [](const AttentionPlan&) { return absl::OkStatus(); },
       .copy_inputs = [&c](AttentionTask& t) { CopyInputs(c, t); }});
}

absl::StatusOr<AttentionOutputs> SessionRunner::Attend(Session& session,
                                                       const AttentionCase& c,
                                                       const Call& call) {
  auto task = Prepare(session, c, call);
  if (!task.ok()) return task.status();
  engine_.SubmitAndWait(*task);
  return OutputsOf(**task);
}

std::vector<absl::StatusOr<AttentionOutputs>> SessionRunner::AttendAll(
    const std::vector<SessionPtr>& sessions,
    const std::vector<AttentionCase>& cases, const Call& call) {
  std::vector<absl::StatusOr<AttentionTaskPtr>> tasks;
  for (size_t i = 0; i < sessions.size(); ++i) {
    tasks.push_back(Prepare(*sessions[i], cases[i], call));
  }
  absl::BlockingCounter left(static_cast<int>(tasks.size()));
  std::vector<Engine::Submission> together;
  for (const auto& task : tasks) {
    if (task.ok()) {
      together.push_back(
          {*task, [&left](EngineTask&) { left.DecrementCount(); }});
    } else {
      left.DecrementCount();
    }
  }
  engine_.engine().SubmitTogether(std::move(together));
  left.Wait();
  std::vector<absl::StatusOr<AttentionOutputs>> answers;
  for (const auto& task : tasks) {
    answers.push_back(task.ok() ? OutputsOf(**task) : task.status());
  }
  return answers;
}

absl::StatusOr<int64_t> SessionRunner::Append(Session& session,
                                              const AttentionCase& c,
                                              const Call& call) {
  return AppendTokens(MakeCall(session, c, call), c.cos.data(), c.sin.data());
}

AttentionCase DecoderCase(int64_t length, uint64_t seed, bool has_rope) {
  CaseOptions options;
  options.num_q_heads = 4;
  options.q_len = options.kv_len = length;
  options.head_dim = 24;
  options.value_head_dim = 40;
  options.params.causal = CausalMode::kTopLeft;
  if (has_rope) options.params.rope = RopeParams{.base = 10000};
  options.output.return_lse = true;
  options.seed = seed;
  return MakeCase(options);
}

std::vector<Piece> CutAtRandom(int64_t length, Random& random) {
  std::vector<Piece> pieces;
  for (int64_t first = 0; first < length; first += pieces.back().n) {
    const int64_t n = random.Chance(0.5) ? 1 : random.Between(2, 90);
    pieces.push_back({first, std::min(n, length - first)});
  }
  return pieces;
}

AttentionCase CutTokens(const AttentionCase& whole, int64_t first, int64_t n) {
  AttentionCase cut;
  cut.spec = whole.spec;
  cut.plan = whole.plan;
  cut.query = CutRows(whole.query, whole.spec.query, first, n);
  cut.key = CutRows(whole.key, whole.spec.key, first, n);
  cut.value = CutRows(whole.value, whole.spec.value, first, n);
  cut.cos = whole.cos;
  cut.sin = whole.sin;
  for (TensorSpec* spec : {&cut.spec.query, &cut.spec.key, &cut.spec.value}) {
    Shorten(*spec, n);
  }
  return cut;
}

}  // namespace attn::test
