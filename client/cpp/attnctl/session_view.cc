#include "client/cpp/attnctl/session_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cpp/attnctl/json_text.h"

namespace attn::attnctl {
namespace {

using client::Session;
using client::SessionSpec;

std::string TimeText(absl::Time time) {
  return time == absl::InfinitePast()
             ? "-"
             : absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time,
                                absl::UTCTimeZone());
}

// "7" or, where layers differ, "5..7".
std::string LengthText(const std::vector<uint64_t>& lengths) {
  if (lengths.empty()) {
    return "-";
  }
  const auto [low, high] = std::minmax_element(lengths.begin(), lengths.end());
  return *low == *high ? absl::StrCat(*low) : absl::StrCat(*low, "..", *high);
}

// "4096, window 128, idle ttl 1h"; what is off is left out.
std::string LimitText(const SessionSpec& spec) {
  std::string text =
      spec.max_length == 0 ? "-" : absl::StrCat(spec.max_length, " tokens");
  if (spec.window > 0) {
    absl::StrAppend(&text, ", window ", spec.window);
  }
  if (spec.idle_ttl.has_value()) {
    absl::StrAppend(&text, ", idle ttl ", absl::FormatDuration(*spec.idle_ttl));
  }
  return text;
}

std::string KvDtypeText(client::KvDtype kv_dtype) {
  return std::string(client::KvDtypeName(kv_dtype));
}

uint32_t ValueHeadDim(const SessionSpec& spec) {
  return spec.value_head_dim == 0 ? spec.head_dim : spec.value_head_dim;
}

std::string TimeJson(absl::Time time) {
  return time == absl::InfinitePast() ? "null" : JsonString(TimeText(time));
}

std::string SpecJson(const SessionSpec& spec) {
  return absl::StrFormat(
      "{\"num_layers\": %d, \"num_kv_heads\": %d, \"head_dim\": %d, "
      "\"value_head_dim\": %d, \"kv_dtype\": \"%s\", \"max_length\": %d, "
      "\"window\": %d, \"idle_ttl_seconds\": %s}",
      spec.num_layers, spec.num_kv_heads, spec.head_dim, ValueHeadDim(spec),
      KvDtypeText(spec.kv_dtype), spec.max_length, spec.window,
      spec.idle_ttl.has_value()
          ? JsonNumber(absl::ToDoubleSeconds(*spec.idle_ttl))
          : "null");
}

std::string SessionJson(const Session& session) {
  return absl::StrFormat(
      "{\"session_id\": %s, \"spec\": %s, \"layer_lengths\": [%s], "
      "\"kv_bytes\": %d, \"shared_kv_bytes\": %d, \"created_at\": %s, "
      "\"last_used_at\": %s}",
      JsonString(session.session_id), SpecJson(session.spec),
      absl::StrJoin(session.layer_lengths, ", "), session.kv_bytes,
      session.shared_kv_bytes, TimeJson(session.created_at),
      TimeJson(session.last_used_at));
}

}  // namespace

std::string RenderSession(const Session& session) {
  const SessionSpec& spec = session.spec;
  return absl::StrCat(
      "session        ", session.session_id,                            //
      "\nlayers         ", spec.num_layers,                             //
      "\nKV heads       ", spec.num_kv_heads, ", head dim ",            //
      spec.head_dim, ", of values ", ValueHeadDim(spec), ", kept as ",  //
      KvDtypeText(spec.kv_dtype),                                       //
      "\nmax length     ", LimitText(spec),                             //
      "\ntokens         ", absl::StrJoin(session.layer_lengths, ", "),  //
      "\nmemory         ", session.kv_bytes, " KV bytes, ",             //
      session.shared_kv_bytes, " of them shared",                       //
      "\ncreated        ", TimeText(session.created_at),                //
      "\nlast used      ", TimeText(session.last_used_at), "\n");
}

std::string RenderSessions(const std::vector<Session>& sessions) {
  if (sessions.empty()) {
    return "no sessions\n";
  }
  size_t width = sizeof("session") - 1;
  for (const Session& session : sessions) {
    width = std::max(width, session.session_id.size());
  }
  constexpr char kRow[] = "%-*s %7s %13s %14s %14s %-5s %s\n";
  std::string text =
      absl::StrFormat(kRow, width, "session", "layers", "tokens", "KV bytes",
                      "shared", "dtype", "last used");
  for (const Session& session : sessions) {
    absl::StrAppendFormat(
        &text, kRow, width, session.session_id,
        absl::StrCat(session.spec.num_layers),
        LengthText(session.layer_lengths), absl::StrCat(session.kv_bytes),
        absl::StrCat(session.shared_kv_bytes),
        KvDtypeText(session.spec.kv_dtype), TimeText(session.last_used_at));
  }
  return text;
}

std::string RenderSessionJson(const Session& session) {
  return SessionJson(session) + "\n";
}

std::string RenderSessionsJson(const client::ListPage& page) {
  return absl::StrCat(
      "{\"sessions\": [\n",
      absl::StrJoin(page.sessions, ",\n",
                    [](std::string* out, const Session& session) {
                      out->append(SessionJson(session));
                    }),
      "\n], \"next_page_token\": ", JsonString(page.next_page_token), "}\n");
}

}  // namespace attn::attnctl
