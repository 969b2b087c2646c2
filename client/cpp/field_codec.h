// Fields that several requests or answers have: tensors, rotary embedding,
// what to return, the reference to a session, times. Internal to the client.
// Pure functions: thread-safe.
#pragma once

#include <utility>

#include "absl/types/span.h"
#include "attn/v1/attention.pb.h"
#include "attn/v1/types.pb.h"
#include "client/cpp/request.h"
#include "client/cpp/wire_message.h"

namespace attn::client {

// Field number `field` of `out`, whose bytes are referred to and not copied;
// nothing for an absent tensor.
void AppendTensor(int field, const Tensor& tensor, WireMessage& out);

// Where the tensor lies; the server refuses what is not in shared memory.
void FillShared(const Tensor& tensor, attn::v1::SharedRange& message);

void FillRope(const RopeParams& rope, attn::v1::RopeParams& message);
void FillOutput(const OutputOptions& output, attn::v1::OutputOptions& message);
void FillSession(const SessionRef& session, attn::v1::SessionRef& message);

// What every kind of request has besides its tensors.
template <typename Request, typename Message>
void FillRequest(const Request& request, Message& message) {
  message.set_request_id(request.request_id);
  message.mutable_kv_lengths()->Add(request.kv_lengths.begin(),
                                    request.kv_lengths.end());
  FillOutput(request.output, *message.mutable_output());
  if (request.session.has_value()) {
    FillSession(*request.session, *message.mutable_session());
  }
  message.set_priority(static_cast<attn::v1::Priority>(request.priority));
}

// A message of nothing but `requests`, each as its field number `field`.
template <typename Request>
WireMessage EncodeItems(int field, absl::Span<const Request> requests) {
  WireMessage out;
  for (const Request& request : requests) {
    WireMessage item = EncodeRequest(request);
    out.AppendLengthDelimited(field, item.size_bytes());
    out.AppendMessage(std::move(item));
  }
  return out;
}

// Takes the bytes of `message`.
Tensor TakeTensor(attn::v1::Tensor& message);
Timing DecodeTiming(const attn::v1::Timing& message);

}  // namespace attn::client
