#include "server/session_messages.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "core/base/error.h"
#include "google/protobuf/util/time_util.h"
#include "server/wire_codec.h"

namespace attn {
namespace {

using google::protobuf::util::TimeUtil;

google::protobuf::Timestamp WallTime(TimePoint time, TimePoint now) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  const auto then =
      std::chrono::duration_cast<std::chrono::nanoseconds>(wall) - (now - time);
  return TimeUtil::NanosecondsToTimestamp(then.count());
}

absl::StatusOr<std::optional<Duration>> ToIdleTtl(const v1::SessionSpec& spec) {
  if (!spec.has_idle_ttl()) return std::nullopt;
  const google::protobuf::Duration& ttl = spec.idle_ttl();
  constexpr int64_t kLongestSeconds = int64_t{100} * 365 * 24 * 3600;
  if (ttl.seconds() < 0 || ttl.nanos() < 0 || ttl.nanos() > 999'999'999 ||
      ttl.seconds() > kLongestSeconds ||
      (ttl.seconds() == 0 && ttl.nanos() == 0)) {
    return InvalidOption(
        "spec.idle_ttl", "must be above 0 and at most 100 years",
        absl::StrCat(ttl.seconds(), " s ", ttl.nanos(), " ns"));
  }
  return Duration(std::chrono::seconds(ttl.seconds())) +
         std::chrono::nanoseconds(ttl.nanos());
}

v1::SessionSpec ToWire(const KvSpec& spec) {
  v1::SessionSpec wire;
  wire.set_num_layers(static_cast<uint32_t>(spec.num_layers));
  wire.set_num_kv_heads(static_cast<uint32_t>(spec.num_kv_heads));
  wire.set_head_dim(static_cast<uint32_t>(spec.head_dim));
  wire.set_value_head_dim(static_cast<uint32_t>(spec.value_head_dim));
  wire.set_kv_dtype(static_cast<v1::KvDtype>(spec.kv_dtype));
  wire.set_max_length(static_cast<uint64_t>(spec.max_length));
  wire.set_window(static_cast<uint64_t>(spec.window));
  if (spec.idle_ttl.has_value()) {
    *wire.mutable_idle_ttl() = TimeUtil::NanosecondsToDuration(
        std::chrono::nanoseconds(*spec.idle_ttl).count());
  }
  return wire;
}

}  // namespace

absl::StatusOr<KvSpec> ToKvSpec(const v1::SessionSpec& wire) {
  KvSpec spec;
  spec.num_layers = wire.num_layers();
  spec.num_kv_heads = wire.num_kv_heads();
  spec.head_dim = wire.head_dim();
  spec.value_head_dim = wire.value_head_dim();
  spec.kv_dtype = static_cast<KvDtype>(wire.kv_dtype());
  spec.max_length = ToLength(wire.max_length());
  spec.window = ToLength(wire.window());
  auto ttl = ToIdleTtl(wire);
  if (!ttl.ok()) return ttl.status();
  spec.idle_ttl = *ttl;
  return spec;
}

v1::Session ToWire(Session& session, TimePoint now) {
  v1::Session wire;
  wire.set_session_id(session.id());
  *wire.mutable_spec() = ToWire(session.spec());
  const Session::Usage usage = session.MeasureUsage();
  for (const int64_t length : usage.layer_lengths) {
    wire.add_layer_lengths(static_cast<uint64_t>(length));
  }
  wire.set_kv_bytes(static_cast<uint64_t>(usage.kv_bytes));
  wire.set_shared_kv_bytes(static_cast<uint64_t>(usage.shared_bytes));
  *wire.mutable_created_at() = WallTime(session.created_at(), now);
  *wire.mutable_last_used_at() = WallTime(session.last_used_at(), now);
  return wire;
}

}  // namespace attn
