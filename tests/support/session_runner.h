// Drives sessions of a real engine with cases of whole problems, cut into
// calls.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/engine/session_calls.h"
#include "core/kv_cache/session_store.h"
#include "tests/support/attention_case.h"
#include "tests/support/engine_runner.h"

namespace attn::test {

// A store over a pool of `max_bytes`, with counted random numbers, and an
// engine of `num_workers`.
class SessionRunner {
 public:
  explicit SessionRunner(int64_t max_bytes = int64_t{64} << 20,
                         int num_workers = 2);

  // A session of the case's sizes.
  SessionPtr Create(const AttentionCase& attention_case,
                    KvDtype dtype = KvDtype::kF32, int64_t window = 0,
                    int64_t num_layers = 1);

  struct Call {
    int64_t layer = 0;
    std::optional<int64_t> expected_length = {};
    // The tensors' bytes stand for their hash.
    uint64_t fingerprint = 0;
    Priority priority = Priority::kNormal;
  };

  // A task that is not submitted yet.
  absl::StatusOr<AttentionTaskPtr> Prepare(Session& session,
                                           const AttentionCase& attention_case,
                                           const Call& call);
  // Sends all of the case's keys, values and queries in one call and waits for
  // the answer.
  absl::StatusOr<AttentionOutputs> Attend(Session& session,
                                          const AttentionCase& attention_case,
                                          const Call& call);
  // The same for a case of each session, all submitted together.
  std::vector<absl::StatusOr<AttentionOutputs>> AttendAll(
      const std::vector<SessionPtr>& sessions,
      const std::vector<AttentionCase>& cases, const Call& call);
  // Appends its keys and values alone.
  absl::StatusOr<int64_t> Append(Session& session,
                                 const AttentionCase& attention_case,
                                 const Call& call);

  SessionStore& store() { return store_; }
  Tenant& tenant() { return tenant_; }
  PagePool& pool() { return pool_; }
  EngineRunner& engine() { return engine_; }

 private:
  SessionCall MakeCall(Session& session, const AttentionCase& attention_case,
                       const Call& call);

  SteadyClock clock_;
  NullSessionMetrics metrics_;
  uint64_t next_random_ = 1;
  Tenant tenant_{"", 0, {}};
  PagePool pool_;
  SessionStore store_;
  EngineRunner engine_;
};

// As many queries as keys, causal, with the lse: what a decoder sends in total.
AttentionCase DecoderCase(int64_t length, uint64_t seed, bool has_rope = false);

// Tokens [first, first + n).
struct Piece {
  int64_t first = 0;
  int64_t n = 0;
};

// Tokens [0, length) in pieces of 1 to 90, half of them of one.
std::vector<Piece> CutAtRandom(int64_t length, Random& random);

// Rows [first, first + n) of the case's keys, values and queries (all of which
// have the same length) as a case of its own. REQUIRES: batch_size 1, BHSD.
AttentionCase CutTokens(const AttentionCase& whole, int64_t first, int64_t n);

}  // namespace attn::test
