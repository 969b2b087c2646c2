// KV-cache sessions as plain structs: keys and values that stay on the server,
// so that a decoder sends only what is new. The calls are Client's
// (CreateSession, AppendKv, ...); to attend to a session set
// AttendRequest::session. proto/attn/v1/session.proto states defaults and
// errors in full. Plain values: thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "client/cpp/request.h"

namespace attn::client {

// Element type in which the server keeps keys and values; the numbers are those
// of attn.v1.KvDtype.
enum class KvDtype : int {
  kUnspecified = 0,  // As kF32.
  kF32 = 1,
  kBf16 = 2,
  kF16 = 3,
  kInt8 = 4,  // Keys scaled per channel in a page, values per token.
};

// "f32", "bf16", "f16", "int8"; "unspecified" otherwise.
std::string_view KvDtypeName(KvDtype kv_dtype);

// What a session holds; fixed when it is created.
struct SessionSpec {
  uint32_t num_layers = 1;
  uint32_t num_kv_heads = 1;
  uint32_t head_dim = 0;        // Required.
  uint32_t value_head_dim = 0;  // 0: head_dim.
  KvDtype kv_dtype = KvDtype::kUnspecified;
  uint64_t max_length = 0;  // Tokens per layer; 0: the server's limit.
  uint64_t window = 0;      // Keep only the newest tokens; 0: off.
  // Idle time after which the session is freed. Absent: the server's.
  std::optional<absl::Duration> idle_ttl = {};
};

struct Session {
  std::string session_id = {};
  SessionSpec spec = {};
  // Tokens ever appended to each layer [num_layers].
  std::vector<uint64_t> layer_lengths = {};
  uint64_t kv_bytes = 0;         // Of the pages it refers to.
  uint64_t shared_kv_bytes = 0;  // The part that other sessions share.
  // InfinitePast where the server does not say.
  absl::Time created_at = absl::InfinitePast();
  absl::Time last_used_at = absl::InfinitePast();
};

// Keys and values for the end of one layer.
struct AppendRequest {
  SessionRef session = {};
  Tensor key = {};    // [1, num_kv_heads, tokens, head_dim] in kBhsd
  Tensor value = {};  // [1, num_kv_heads, tokens, value_head_dim]
  Layout layout = Layout::kUnspecified;
  std::optional<RopeParams> rope = {};  // Absent: keys are stored as sent.
};

// One page of ListSessions.
struct ListPage {
  std::vector<Session> sessions = {};  // In order of their ids.
  std::string next_page_token = {};    // Empty on the last page.
};

}  // namespace attn::client
