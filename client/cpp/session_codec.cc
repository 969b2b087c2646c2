#include "client/cpp/session_codec.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "client/cpp/field_codec.h"

namespace attn::client {
namespace {

namespace pb = attn::v1;

constexpr size_t kMaxIdLength = 64;

// Infinite ones become the largest number, which the server refuses.
void FillDuration(absl::Duration duration,
                  google::protobuf::Duration& message) {
  absl::Duration rest;
  message.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  if (rest > -absl::Seconds(1) && rest < absl::Seconds(1)) {
    message.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  }
}

absl::Duration DecodeDuration(const google::protobuf::Duration& message) {
  return absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

absl::Time DecodeTime(const google::protobuf::Timestamp& message) {
  return absl::FromUnixSeconds(message.seconds()) +
         absl::Nanoseconds(message.nanos());
}

SessionSpec DecodeSpec(const pb::SessionSpec& message) {
  SessionSpec spec;
  spec.num_layers = message.num_layers();
  spec.num_kv_heads = message.num_kv_heads();
  spec.head_dim = message.head_dim();
  spec.value_head_dim = message.value_head_dim();
  spec.kv_dtype = static_cast<KvDtype>(message.kv_dtype());
  spec.max_length = message.max_length();
  spec.window = message.window();
  if (message.has_idle_ttl()) {
    spec.idle_ttl = DecodeDuration(message.idle_ttl());
  }
  return spec;
}

}  // namespace

std::string_view KvDtypeName(KvDtype kv_dtype) {
  switch (kv_dtype) {
    case KvDtype::kF32:
      return "f32";
    case KvDtype::kBf16:
      return "bf16";
    case KvDtype::kF16:
      return "f16";
    case KvDtype::kInt8:
      return "int8";
    case KvDtype::kUnspecified:
      break;
  }
  return "unspecified";
}

void FillSpec(const SessionSpec& spec, pb::SessionSpec& message) {
  message.set_num_layers(spec.num_layers);
  message.set_num_kv_heads(spec.num_kv_heads);
  message.set_head_dim(spec.head_dim);
  message.set_value_head_dim(spec.value_head_dim);
  message.set_kv_dtype(static_cast<pb::KvDtype>(spec.kv_dtype));
  message.set_max_length(spec.max_length);
  message.set_window(spec.window);
  if (spec.idle_ttl.has_value()) {
    FillDuration(*spec.idle_ttl, *message.mutable_idle_ttl());
  }
}

WireMessage EncodeAppend(const AppendRequest& request) {
  pb::AppendKvRequest small;
  FillSession(request.session, *small.mutable_session());
  small.set_layout(static_cast<pb::Layout>(request.layout));
  if (request.rope.has_value()) {
    FillRope(*request.rope, *small.mutable_rope());
  }
  WireMessage out;
  out.Append(small.SerializeAsString());
  AppendTensor(pb::AppendKvRequest::kKeyFieldNumber, request.key, out);
  AppendTensor(pb::AppendKvRequest::kValueFieldNumber, request.value, out);
  return out;
}

Session DecodeSession(pb::Session& message) {
  Session session;
  session.session_id = std::move(*message.mutable_session_id());
  session.spec = DecodeSpec(message.spec());
  session.layer_lengths.assign(message.layer_lengths().begin(),
                               message.layer_lengths().end());
  session.kv_bytes = message.kv_bytes();
  session.shared_kv_bytes = message.shared_kv_bytes();
  if (message.has_created_at()) {
    session.created_at = DecodeTime(message.created_at());
  }
  if (message.has_last_used_at()) {
    session.last_used_at = DecodeTime(message.last_used_at());
  }
  return session;
}

ListPage DecodeListPage(pb::ListSessionsResponse& message) {
  ListPage page;
  page.sessions.reserve(message.sessions_size());
  for (pb::Session& session : *message.mutable_sessions()) {
    page.sessions.push_back(DecodeSession(session));
  }
  page.next_page_token = std::move(*message.mutable_next_page_token());
  return page;
}

uint64_t DecodeAppend(pb::AppendKvResponse& message) {
  return message.session_length();
}

bool IsSessionId(std::string_view session_id) {
  return !session_id.empty() && session_id.size() <= kMaxIdLength &&
         std::all_of(session_id.begin(), session_id.end(), [](char symbol) {
           return absl::ascii_isalnum(static_cast<unsigned char>(symbol)) ||
                  symbol == '_' || symbol == '-';
         });
}

}  // namespace attn::client
