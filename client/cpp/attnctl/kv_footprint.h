// What the keys and values of sessions take in a server's memory, by the rule
// of core/kv_cache: pages of 64 tokens of one layer, all of its KV heads. A
// test (tests/integration/plan_test.cc) holds it to what a real server reports.
// Pure functions.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "client/cpp/session.h"

namespace attn::attnctl {

// One session with the same number of tokens in each layer.
struct KvFootprint {
  int64_t pages = 0;       // Of all layers.
  int64_t page_bytes = 0;  // Of a full one.
  // Of one that is not full. INT8 keeps its newest page in F32 until then.
  int64_t open_page_bytes = 0;
  int64_t token_bytes = 0;  // In all layers, of full pages; rounded up.
  int64_t kv_bytes = 0;     // What Session.kv_bytes says.
  // The most that it takes while it grows to here: INT8 holds an open page in
  // each layer as well.
  int64_t full_pages = 0;
  int64_t open_pages = 0;
};

// Errors: INVALID_ARGUMENT where a count is not positive, tokens are negative,
// or it comes to 2^53 bytes or more (a plan's doubles are exact below).
absl::StatusOr<KvFootprint> FootprintOf(const client::SessionSpec& spec,
                                        int64_t tokens);

// --kv-memory that holds so many such sessions while they grow. Pages come in
// slabs, multiples of 2 MiB, of which up to an eighth stays unused.
int64_t BudgetFor(const KvFootprint& session, int64_t sessions);

}  // namespace attn::attnctl
