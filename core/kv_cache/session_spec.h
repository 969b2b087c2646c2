// What a session is made of, as a client asks for it, and the proof that it can
// be built.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/tensor/kv_format.h"

namespace attn {

// The numbers equal those of attn.v1.KvDtype.
enum class KvDtype : int32_t {
  kUnspecified = 0,  // As kF32.
  kF32 = 1,
  kBF16 = 2,
  kF16 = 3,
  kInt8 = 4,  // Full pages; the last one is F32 until then.
};

struct KvSpec {
  int64_t num_layers = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t value_head_dim = 0;  // 0: head_dim.
  KvDtype kv_dtype = KvDtype::kUnspecified;
  int64_t max_length = 0;                           // 0: the server's limit.
  int64_t window = 0;                               // 0: off.
  std::optional<Duration> idle_ttl = std::nullopt;  // Absent: the server's.

  friend bool operator==(const KvSpec&, const KvSpec&) = default;
};

struct SessionLimits {
  int64_t max_sessions = 65536;
  // For sessions that ask for none.
  Duration idle_ttl = std::chrono::hours(1);
  // Tokens per layer; the default and the bound of KvSpec::max_length.
  int64_t max_length = int64_t{1} << 24;
};

// The most bytes of a page, that is of 64 tokens of a layer (of an unpacked one
// where the session packs).
inline constexpr int64_t kMaxPageBytes = int64_t{64} << 20;

// The spec with its defaults filled in. INVALID_ARGUMENT / INVALID_OPTION with
// field, rule and found value.
absl::StatusOr<KvSpec> ResolveSpec(const KvSpec& spec,
                                   const SessionLimits& limits);

// REQUIRES: a resolved spec.
KvFormat FormatOf(const KvSpec& spec);

}  // namespace attn
