#include "client/cpp/attnctl/decode_load.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace attn::attnctl {
namespace {

using client::AttendRequest;
using client::AttendResult;

constexpr int64_t kChunkTokens = 1024;  // Of one AppendKv.
constexpr uint64_t kPrepareThreads = 8;

// Makes problems of `tokens` keys and as many query rows.
absl::StatusOr<ProblemSource> SourceOf(const DecodePlan& plan, int64_t tokens,
                                       uint64_t seed) {
  ProblemShape shape;
  shape.num_q_heads = plan.num_q_heads;
  shape.num_kv_heads = plan.spec.num_kv_heads;
  shape.q_len = {1, 1};
  shape.kv_len = {tokens, tokens};
  shape.head_dim = plan.spec.head_dim;
  shape.value_head_dim = plan.spec.value_head_dim;
  shape.dtype = plan.dtype;
  shape.priority = plan.priority;
  return ProblemSource::Create(shape, seed);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DecodeLoad>> DecodeLoad::Create(
    const DecodePlan& plan, client::Client& client, LoadClock& clock,
    LoadRecord& record) {
  auto step = SourceOf(plan, 1, plan.seed);
  auto chunk =
      SourceOf(plan, std::min(plan.prefix, kChunkTokens), plan.seed + 1);
  auto rest = SourceOf(plan, plan.prefix % kChunkTokens, plan.seed + 2);
  absl::Status status = step.status();
  status.Update(chunk.status());
  status.Update(rest.status());
  if (!status.ok()) {
    return status;
  }
  return std::unique_ptr<DecodeLoad>(new DecodeLoad(
      plan, {*std::move(step), *std::move(chunk), *std::move(rest)}, client,
      clock, record));
}

DecodeLoad::DecodeLoad(const DecodePlan& plan, Sources sources,
                       client::Client& client, LoadClock& clock,
                       LoadRecord& record)
    : plan_(plan),
      sources_(std::move(sources)),
      client_(client),
      clock_(clock),
      record_(record) {}

DecodeLoad::~DecodeLoad() { static_cast<void>(DeleteSessions()); }

void DecodeLoad::ForEachSession(
    uint64_t threads, const std::function<void(uint64_t)>& step) const {
  std::atomic<uint64_t> next = 0;
  std::vector<std::thread> workers;
  for (uint64_t i = 0; i < std::min(threads, plan_.sessions); ++i) {
    workers.emplace_back([this, &next, &step] {
      for (uint64_t s = next++; s < plan_.sessions; s = next++) {
        step(s);
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
}

std::string DecodeLoad::SessionId(uint64_t session) const {
  return absl::StrCat(plan_.id_prefix, session);
}

absl::Status DecodeLoad::Prepare() {
  made_ = true;
  const absl::Time start = clock_.Now();
  absl::Status status;
  ForEachSession(kPrepareThreads, [&](uint64_t session) {
    {
      const absl::MutexLock lock(&mutex_);
      if (!status.ok()) {
        return;
      }
    }
    absl::Status prepared = PrepareOne(session);
    const absl::MutexLock lock(&mutex_);
    status.Update(prepared);
  });
  figures_.prefix_elapsed = clock_.Now() - start;
  figures_.prefix_tokens =
      plan_.sessions *
      static_cast<uint64_t>(std::max<int64_t>(0, plan_.prefix));
  return status;
}

absl::Status DecodeLoad::PrepareOne(uint64_t session) {
  if (clock_.stopped()) {
    return absl::CancelledError("stopped before the sessions were prepared");
  }
  absl::Status status =
      client_.CreateSession(plan_.spec, SessionId(session)).status();
  for (uint32_t layer = 0; layer < plan_.spec.num_layers && status.ok();
       ++layer) {
    status = AppendPrefix(session, layer);
  }
  return status;
}

absl::Status DecodeLoad::AppendPrefix(uint64_t session, uint32_t layer) {
  absl::Status status;
  for (int64_t at = 0; at < plan_.prefix && status.ok(); at += kChunkTokens) {
    if (clock_.stopped()) {
      return absl::CancelledError("stopped before the sessions were prepared");
    }
    const bool whole = plan_.prefix - at >= kChunkTokens;
    const AttendRequest rows = (whole ? sources_.chunk : sources_.rest)
                                   .Make(session * plan_.spec.num_layers +
                                         layer + static_cast<uint64_t>(at));
    status = client_
                 .AppendKv(
                     {.session = {.session_id = SessionId(session),
                                  .layer = layer,
                                  .expected_length = static_cast<uint64_t>(at)},
                      .key = rows.key,
                      .value = rows.value})
                 .status();
  }
  return status;
}

AttendRequest DecodeLoad::StepRequest(uint64_t session, uint64_t step,
                                      uint32_t layer) const {
  const uint64_t token = session * plan_.steps + step;
  AttendRequest request =
      sources_.step.Make(token * plan_.spec.num_layers + layer);
  request.session = {
      .session_id = SessionId(session),
      .layer = layer,
      .expected_length = static_cast<uint64_t>(plan_.prefix) + step};
  return request;
}

void DecodeLoad::Decode() {
  const absl::Time start = clock_.Now();
  if (plan_.batch) {
    DecodeTogether();
  } else {
    ForEachSession(plan_.sessions,
                   [this](uint64_t session) { DecodeAlone(session); });
  }
  figures_.decode_elapsed = clock_.Now() - start;
}

void DecodeLoad::DecodeAlone(uint64_t session) {
  std::vector<uint64_t> alone = {session};
  for (uint64_t step = 0; step < plan_.steps; ++step) {
    Step(step, alone);
  }
}

void DecodeLoad::DecodeTogether() {
  std::vector<uint64_t> living(plan_.sessions);
  for (uint64_t session = 0; session < plan_.sessions; ++session) {
    living[session] = session;
  }
  for (uint64_t step = 0; step < plan_.steps; ++step) {
    Step(step, living);
  }
}

void DecodeLoad::Step(uint64_t step, std::vector<uint64_t>& sessions) {
  const absl::Time start = clock_.Now();
  for (uint32_t layer = 0; layer < plan_.spec.num_layers; ++layer) {
    if (clock_.stopped() || sessions.empty()) {
      return;
    }
    Call(step, layer, sessions);
  }
  const absl::MutexLock lock(&mutex_);
  figures_.tokens += sessions.size();
  for (size_t i = 0; i < sessions.size(); ++i) {
    figures_.token_latency.Record(clock_.Now() - start);
  }
}

void DecodeLoad::Call(uint64_t step, uint32_t layer,
                      std::vector<uint64_t>& sessions) {
  std::vector<AttendRequest> requests;
  AnsweredSend send;
  for (const uint64_t session : sessions) {
    requests.push_back(StepRequest(session, step, layer));
    send.sent_bytes += ProblemSource::TensorBytes(requests.back());
  }
  const absl::Time start = clock_.Now();
  std::vector<AttendResult> results(requests.size());
  if (plan_.batch) {
    auto answered = client_.AttendBatch(requests);
    for (AttendResult& result : results) {
      result.status = answered.status();
    }
    if (answered.ok() && answered->size() == results.size()) {
      results = *std::move(answered);
    }
  } else {
    auto answered = client_.Attend(requests.front());
    results.front().status = answered.status();
    if (answered.ok()) {
      results.front().response = *std::move(answered);
    }
  }
  send.latency = clock_.Now() - start;
  send.results = &results;
  record_.Add(send);
  size_t at = 0;
  std::erase_if(sessions, [&](uint64_t /*session*/) {
    return !results[at++].status.ok();
  });
}

absl::Status DecodeLoad::DeleteSessions() {
  absl::Status status;
  if (!std::exchange(made_, false)) {
    return status;
  }
  ForEachSession(kPrepareThreads, [&](uint64_t session) {
    absl::Status deleted = client_.DeleteSession(SessionId(session));
    // Prepare may have ended before this one was made.
    if (!absl::IsNotFound(deleted)) {
      const absl::MutexLock lock(&mutex_);
      status.Update(deleted);
    }
  });
  return status;
}

}  // namespace attn::attnctl
