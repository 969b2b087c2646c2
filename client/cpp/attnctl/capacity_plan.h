// What a load of sessions needs: memory, memory bandwidth, replicas, and the
// settings of each. Decoding reads all keys and values of a session for every
// token, so memory and its bandwidth are what bounds it
// (deploy/README.md, "Sizing"). Pure functions.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "client/cpp/attnctl/byte_size.h"
#include "client/cpp/attnctl/kv_footprint.h"
#include "client/cpp/session.h"

namespace attn::attnctl {

// What tests/bench/README.md measured on its machine (2 vCPU with AVX-512):
// what one thread reads, 42 GB/s.
inline constexpr double kMeasuredBandwidth = 42e9;

// What a replica's memory must leave beside the pages at the default limits of
// messages: twice (1.5 --max-queue-bytes + 2 (--max-request-bytes +
// --max-reply-bytes)) and 512 MiB, as the Helm chart has it.
inline constexpr int64_t kMemoryBesidePages = 5632 * kMebibyte;

struct CapacityRequest {
  client::SessionSpec spec;  // Layers, heads, dims and dtype.
  int64_t num_q_heads = 0;   // 0: as many as KV heads.
  int64_t tokens = 0;        // That a session comes to, in each layer.
  int64_t sessions = 1;      // At a time.
  // Of each session; 0: nothing is asked of bandwidth.
  double tokens_per_second = 0;
  double memory_bandwidth = kMeasuredBandwidth;  // Bytes/s of a replica.
  int64_t machine_memory = 32 * kGibibyte;       // Of a replica.
  // Share of memory and bandwidth kept free: sessions spread unevenly, prompts
  // and other calls want their part.
  double headroom = 0.2;
};

struct CapacityPlan {
  KvFootprint session;
  int64_t all_bytes = 0;  // KV bytes of all sessions.
  // Share of the bandwidth that decoding reached, by dtype.
  double decode_fraction = 0;
  double decode_bandwidth = 0;  // Bytes/s of a replica.
  // Tokens/s of a replica, all of its sessions together.
  double max_tokens_per_second = 0;
  // Bytes of query, key, value and output of a token in all layers, as F32.
  int64_t wire_bytes_per_token = 0;
  int64_t page_memory = 0;         // Of a replica, for pages.
  int64_t sessions_by_memory = 0;  // Of a replica, with headroom.
  int64_t replicas_by_memory = 0;
  int64_t replicas_by_bandwidth = 0;  // 0: nothing is asked.
  int64_t replicas = 0;
  int64_t sessions_per_replica = 0;
  int64_t kv_memory = 0;  // --kv-memory
  int64_t max_sessions = 0;
};

// Errors: INVALID_ARGUMENT where a session does not fit into a replica, or
// values are out of range.
absl::StatusOr<CapacityPlan> MakePlan(const CapacityRequest& request);

}  // namespace attn::attnctl
