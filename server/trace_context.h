// W3C Trace Context (level 2) as text, and how a call's stages are told beside
// it. Knows no gRPC; call_trace.h carries it to and from metadata.
//
//   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//   server-timing: queue;dur=0.336, compute;dur=0.373, total;dur=0.812
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"

namespace attn {

struct TraceContext {
  std::string trace_id;  // 32 hex digits, not all 0.
  std::string span_id;   // 16 hex digits, not all 0.
  uint8_t flags = 0;     // Sampled (1) and random (2); others are dropped.
};

// Nothing for a text that the standard has a receiver ignore: anything but
// lower-case digits in their places, ids of zeros, version ff, and of version
// 00 anything more. Later versions are read as far as 00 goes.
std::optional<TraceContext> ParseTraceparent(std::string_view text);

// Of version 00.
std::string FormatTraceparent(const TraceContext& context);

// `random` as the id of a span; 0, which is none, becomes 1.
std::string SpanId(uint64_t random);

// How long a call was in the server and in two of its stages. Of a call with
// several requests a stage is that of the request that took longest in it.
struct StageTimes {
  Duration queue{};
  Duration compute{};
  Duration total{};
};

// As the value of a Server-Timing header: milliseconds, to the microsecond.
std::string FormatServerTiming(const StageTimes& times);

}  // namespace attn
