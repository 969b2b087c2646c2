// Fields that several requests have: tensors, rotary embedding and the
// reference to a session. Internal to the client. Pure functions: thread-safe.
#pragma once

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
void FillSession(const SessionRef& session, attn::v1::SessionRef& message);

}  // namespace attn::client
