#include "server/trace_context.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/absl_view.h"

namespace attn {
namespace {

constexpr size_t kVersionDigits = 2;
constexpr size_t kTraceDigits = 32;
constexpr size_t kSpanDigits = 16;
constexpr size_t kFlagDigits = 2;
// Of version 00, with its three dashes.
constexpr size_t kSize =
    kVersionDigits + kTraceDigits + kSpanDigits + kFlagDigits + 3;
constexpr uint8_t kKnownFlags = 3;

bool IsDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

// The next `count` digits of `text`, which are taken off it with the dash that
// follows; empty where they are not there.
std::string_view TakeDigits(std::string_view& text, size_t count) {
  const std::string_view digits = text.substr(0, count);
  const bool ends = text.size() == count;
  const bool is_good = digits.size() == count &&
                       std::ranges::all_of(digits, IsDigit) &&
                       (ends || text[count] == '-');
  if (!is_good) return {};
  text.remove_prefix(ends ? count : count + 1);
  return digits;
}

bool IsId(std::string_view digits) {
  return digits.find_first_not_of('0') != std::string_view::npos;
}

uint8_t FlagsOf(std::string_view digits) {
  uint32_t flags = 0;
  const bool is_hex = absl::SimpleHexAtoi(AbslView(digits), &flags);
  return is_hex ? static_cast<uint8_t>(flags & kKnownFlags) : 0;
}

double ToMilliseconds(Duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

}  // namespace

std::optional<TraceContext> ParseTraceparent(std::string_view text) {
  const size_t size = text.size();
  const std::string_view version = TakeDigits(text, kVersionDigits);
  const std::string_view trace_id = TakeDigits(text, kTraceDigits);
  const std::string_view span_id = TakeDigits(text, kSpanDigits);
  const std::string_view flags = TakeDigits(text, kFlagDigits);
  const bool is_whole = size == kSize || (size > kSize && version != "00");
  if (!is_whole || version.empty() || version == "ff" || !IsId(trace_id) ||
      !IsId(span_id) || flags.empty()) {
    return std::nullopt;
  }
  return TraceContext{.trace_id = std::string(trace_id),
                      .span_id = std::string(span_id),
                      .flags = FlagsOf(flags)};
}

std::string FormatTraceparent(const TraceContext& context) {
  return absl::StrFormat("00-%s-%s-%02x", context.trace_id, context.span_id,
                         context.flags);
}

std::string SpanId(uint64_t random) {
  return absl::StrFormat("%016x", std::max<uint64_t>(random, 1));
}

std::string FormatServerTiming(const StageTimes& times) {
  return absl::StrFormat("queue;dur=%.3f, compute;dur=%.3f, total;dur=%.3f",
                         ToMilliseconds(times.queue),
                         ToMilliseconds(times.compute),
                         ToMilliseconds(times.total));
}

}  // namespace attn
