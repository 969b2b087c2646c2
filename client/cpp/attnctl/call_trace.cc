#include "client/cpp/attnctl/call_trace.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/json_text.h"

namespace attn::attnctl {
namespace {

// An id of zeros is none.
std::string HexId(uint64_t number) {
  return absl::StrFormat("%016x", std::max<uint64_t>(number, 1));
}

// One draw after the other: the operands of + come in any order.
std::string TraceId(const std::function<uint64_t()>& random) {
  std::string id = HexId(random());
  id += HexId(random());
  return id;
}

// The id of the span in "00-TRACE-SPAN-FLAGS".
std::string SpanOf(const std::string& traceparent) {
  constexpr size_t kStart = 36;
  constexpr size_t kDigits = 16;
  return traceparent.size() < kStart ? "" : traceparent.substr(kStart, kDigits);
}

}  // namespace

CallTrace::CallTrace(const std::function<uint64_t()>& random)
    : trace_id_(TraceId(random)), span_id_(HexId(random())) {}

void CallTrace::AddTo(client::CallOptions& options) {
  options.metadata.emplace_back(
      "traceparent", absl::StrCat("00-", trace_id_, "-", span_id_, "-01"));
  options.trailing_metadata = &trailers_;
}

std::string CallTrace::Text() const {
  const std::string span = SpanOf(Answered("traceparent"));
  return absl::StrCat(
      "trace ", trace_id_,
      span.empty()
          ? ""
          : absl::StrCat(", server's span ", span,
                         ", milliseconds: ", Answered("server-timing")),
      "\n");
}

std::string CallTrace::JsonMembers() const {
  return absl::StrFormat(
      ", \"trace_id\": %s, \"server_span_id\": %s, \"server_timing\": %s",
      JsonString(trace_id_), JsonString(SpanOf(Answered("traceparent"))),
      JsonString(Answered("server-timing")));
}

std::string CallTrace::Answered(const std::string& key) const {
  const auto found = std::find_if(
      trailers_.begin(), trailers_.end(),
      [&key](const auto& trailer) { return trailer.first == key; });
  return found == trailers_.end() ? "" : found->second;
}

}  // namespace attn::attnctl
