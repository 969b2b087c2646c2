#include "server/append_call.h"

#include <utility>

#include "attn/v1/session.pb.h"
#include "core/base/status_macros.h"
#include "core/engine/session_calls.h"
#include "server/append_key.h"
#include "server/byte_buffer.h"

namespace attn {
namespace {

std::vector<std::byte> Copy(const FragmentedBytes& bytes, ByteRange range) {
  std::vector<std::byte> copy(static_cast<size_t>(range.size));
  bytes.CopyTo(range, copy.data());
  return copy;
}

}  // namespace

AppendCall::AppendCall(const AttendContext& context, Tenant& tenant,
                       grpc::CallbackServerContext& call,
                       grpc::ByteBuffer& response)
    : UnaryCall(context, RpcMethod::kAppendKv, tenant, call),
      response_(response) {}

void AppendCall::Run(const grpc::ByteBuffer& request) {
  ReceivedMessage message(request);
  if (const absl::Status status = CheckArrival(message.bytes().size());
      !status.ok()) {
    return RefuseWith(status);
  }
  const absl::StatusOr<int64_t> length = Append(message.bytes());
  if (!length.ok()) return RefuseWith(length.status());
  v1::AppendKvResponse response;
  response.set_session_length(static_cast<uint64_t>(*length));
  Reply reply;
  reply.push_back({.text = response.SerializeAsString()});
  FinishWith(std::move(reply), response_);
}

absl::StatusOr<int64_t> AppendCall::Append(FragmentedBytes& bytes) {
  ATTN_RETURN_IF_ERROR(context_.engine.CheckServing());
  const DecodedAppend decoded = DecodeAppend({bytes, context_.shared_memory});
  ATTN_RETURN_IF_ERROR(decoded.status);
  ATTN_ASSIGN_OR_RETURN(
      const SessionPtr session,
      context_.sessions.Use(tenant_, decoded.session.session_id));
  const std::vector<std::byte> cos = Copy(bytes, decoded.places.rope_cos);
  const std::vector<std::byte> sin = Copy(bytes, decoded.places.rope_sin);
  return AppendTokens(MakeSessionCall(*session, decoded.session, bytes,
                                      decoded.spec, decoded.places),
                      cos.data(), sin.data());
}

}  // namespace attn
