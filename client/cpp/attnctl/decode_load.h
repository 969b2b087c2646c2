// Decoding as a server of language models does it: sessions with a prefix, then
// token by token one Attend for each layer, which appends one token and attends
// to all. The sessions are this load's own and are deleted with it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/cpp/attnctl/latency_histogram.h"
#include "client/cpp/attnctl/load_generator.h"
#include "client/cpp/attnctl/load_record.h"
#include "client/cpp/attnctl/problem_source.h"
#include "client/cpp/client.h"

namespace attn::attnctl {

struct DecodePlan {
  uint64_t sessions = 1;
  client::SessionSpec spec;
  int64_t num_q_heads = 1;
  client::DType dtype = client::DType::kF32;  // Of what is sent.
  client::Priority priority = client::Priority::kUnspecified;
  int64_t prefix = 0;  // Tokens of each session before it decodes.
  uint64_t steps = 1;  // Tokens that each session decodes.
  bool batch = false;  // All sessions of a step and layer in one AttendBatch.
  uint64_t seed = 1;
  std::string id_prefix = "attnctl-bench-";  // The session's number follows.
};

struct DecodeFigures {
  uint64_t prefix_tokens = 0;  // Of all sessions.
  absl::Duration prefix_elapsed;
  uint64_t tokens = 0;  // Decoded, of all sessions.
  absl::Duration decode_elapsed;
  // From the first layer's call to the last one's answer.
  LatencyHistogram token_latency;
};

// Confined to one thread, which Prepare, Decode and DeleteSessions block; they
// have threads of their own.
class DecodeLoad {
 public:
  // `client`, `clock` and `record`, which gets every Attend, must outlive it.
  // Errors: INVALID_ARGUMENT for tensors beyond 2 GiB.
  static absl::StatusOr<std::unique_ptr<DecodeLoad>> Create(
      const DecodePlan& plan, client::Client& client, LoadClock& clock,
      LoadRecord& record);

  // Deletes the sessions that are left.
  ~DecodeLoad();
  DecodeLoad(const DecodeLoad&) = delete;
  DecodeLoad& operator=(const DecodeLoad&) = delete;

  // Makes the sessions and appends their prefixes. Errors: the first that a
  // call gave; CANCELLED once the clock is stopped.
  absl::Status Prepare();

  // Decodes until all steps are done or the clock is stopped. A session whose
  // call fails stops; the others go on. REQUIRES: Prepare was OK.
  void Decode();

  // Tries all; the first error. What stays expires by its idle_ttl.
  absl::Status DeleteSessions();

  const DecodeFigures& figures() const { return figures_; }

 private:
  struct Sources {
    ProblemSource step;
    ProblemSource chunk;  // Of the prefix.
    ProblemSource rest;   // What is left of the prefix after the chunks.
  };

  DecodeLoad(const DecodePlan& plan, Sources sources, client::Client& client,
             LoadClock& clock, LoadRecord& record);

  // Runs `step(i)` for every session on at most `threads` threads.
  void ForEachSession(uint64_t threads,
                      const std::function<void(uint64_t)>& step) const;

  std::string SessionId(uint64_t session) const;
  absl::Status PrepareOne(uint64_t session);
  absl::Status AppendPrefix(uint64_t session, uint32_t layer);
  client::AttendRequest StepRequest(uint64_t session, uint64_t step,
                                    uint32_t layer) const;

  void DecodeAlone(uint64_t session);
  void DecodeTogether();
  // Sends one layer's requests of one step for `sessions` and drops those that
  // failed from it.
  void Call(uint64_t step, uint32_t layer, std::vector<uint64_t>& sessions);
  // All layers of one step.
  void Step(uint64_t step, std::vector<uint64_t>& sessions);

  const DecodePlan plan_;
  const Sources sources_;
  client::Client& client_;
  LoadClock& clock_;
  LoadRecord& record_;
  bool made_ = false;  // Some sessions may exist.

  absl::Mutex mutex_;
  DecodeFigures figures_;  // Guarded while threads run.
};

}  // namespace attn::attnctl
