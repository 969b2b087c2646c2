// Between the structs of session.h and the messages of attn.v1.SessionService.
// Tensors are referred to, as in request_codec.h. Internal to the client. Pure
// functions: thread-safe.
#pragma once

#include "attn/v1/session.pb.h"
#include "client/cpp/session.h"
#include "client/cpp/wire_message.h"

namespace attn::client {

void FillSpec(const SessionSpec& spec, attn::v1::SessionSpec& message);

// attn.v1.AppendKvRequest.
WireMessage EncodeAppend(const AppendRequest& request);

// All empty `message`.
Session DecodeSession(attn::v1::Session& message);
ListPage DecodeListPage(attn::v1::ListSessionsResponse& message);
uint64_t DecodeAppend(attn::v1::AppendKvResponse& message);

// [A-Za-z0-9_-]{1,64}. Others never become metadata: gRPC ends the process for
// values that HTTP/2 does not take.
bool IsSessionId(std::string_view session_id);

}  // namespace attn::client
