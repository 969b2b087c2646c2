#include "server/snapshot_calls.h"

#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/kv_cache/session_id.h"
#include "grpcpp/server_context.h"
#include "server/grpc_status.h"
#include "server/session_messages.h"
#include "server/unary_call.h"

namespace attn {
namespace {

// Why a stream broke off.
absl::Status WhyBroken(const grpc::CallbackServerContext& call,
                       const Clock& clock) {
  if (DeadlineOf(call, clock) <= clock.Now()) {
    return absl::DeadlineExceededError("the deadline passed");
  }
  return absl::CancelledError("the client went away");
}

// The client's doing, unlike a refusal.
bool IsBroken(const absl::Status& status) {
  return absl::IsCancelled(status) || (absl::IsDeadlineExceeded(status) &&
                                       ReasonOf(status) == Reason::kNone);
}

}  // namespace

ExportCall::ExportCall(const AttendContext& context, Tenant& tenant,
                       grpc::CallbackServerContext& call,
                       const v1::ExportSessionRequest& request)
    : context_(context),
      tenant_(tenant),
      call_(call),
      recorder_(context.metrics, RpcMethod::kExportSession, context.clock),
      trace_(context, RpcMethod::kExportSession, call) {
  absl::StatusOr<SessionPtr> session =
      context_.sessions.Use(tenant_, request.session_id());
  if (!session.ok()) {
    FinishWith(session.status());
    return;
  }
  session_ = *std::move(session);
  writer_.emplace(*session_);
  WriteNext();
}

void ExportCall::WriteNext() {
  writer_->Next(*chunk_.mutable_data());
  if (chunk_.data().empty()) return FinishWith(absl::OkStatus());
  StartWrite(&chunk_);
}

void ExportCall::OnWriteDone(bool ok) {
  if (ok) return WriteNext();
  FinishWith(WhyBroken(call_, context_.clock));
}

void ExportCall::FinishWith(const absl::Status& status) {
  // Pages must not wait for gRPC's OnDone.
  writer_.reset();
  session_.reset();
  if (!status.ok() && !IsBroken(status)) {
    RecordRefusal(context_, status, trace_.trace_id());
  }
  recorder_.Finish(static_cast<int>(status.code()));
  trace_.End(static_cast<int>(status.code()));
  Finish(ToGrpcStatus(status));
}

ImportCall::ImportCall(const AttendContext& context, Tenant& tenant,
                       grpc::CallbackServerContext& call, v1::Session& response)
    : context_(context),
      tenant_(tenant),
      call_(call),
      response_(response),
      recorder_(context.metrics, RpcMethod::kImportSession, context.clock),
      trace_(context, RpcMethod::kImportSession, call),
      reader_(std::in_place, context.sessions.pool(), context.sessions.limits(),
              tenant) {
  if (const absl::Status status = context_.engine.CheckServing();
      !status.ok()) {
    FinishWith(status);
    return;
  }
  StartRead(&message_);
}

void ImportCall::OnReadDone(bool ok) {
  if (!ok) {
    return FinishWith(call_.IsCancelled() ? WhyBroken(call_, context_.clock)
                                          : Publish());
  }
  if (const absl::Status status = Add(); !status.ok()) {
    return FinishWith(status);
  }
  StartRead(&message_);
}

absl::Status ImportCall::Add() {
  ATTN_RETURN_IF_ERROR(CheckMessage());
  ATTN_RETURN_IF_ERROR(reader_->Add(message_.data()));
  return SettleId();
}

absl::Status ImportCall::CheckMessage() {
  const auto bytes = static_cast<int64_t>(message_.ByteSizeLong());
  if (bytes > context_.max_request_bytes) {
    return TooLarge("the message", static_cast<double>(bytes),
                    static_cast<double>(context_.max_request_bytes));
  }
  const bool is_first = std::exchange(is_first_, false);
  if (message_.session_id().empty()) return absl::OkStatus();
  ATTN_RETURN_IF_ERROR(CheckSessionId(message_.session_id()));
  if (!is_first) {
    return InvalidOption("session_id", "must be in the first message alone",
                         message_.session_id());
  }
  session_id_ = message_.session_id();
  return absl::OkStatus();
}

absl::Status ImportCall::SettleId() {
  if (is_settled_ || reader_->contents() == nullptr) return absl::OkStatus();
  is_settled_ = true;
  if (session_id_.empty()) session_id_ = reader_->contents()->session_id;
  return context_.sessions.CheckRoom(tenant_, session_id_);
}

// Also when the server drains by now: a call that was accepted ends well.
absl::Status ImportCall::Publish() {
  ATTN_ASSIGN_OR_RETURN(std::unique_ptr<Session> session,
                        reader_->Finish(session_id_, context_.clock.Now()));
  ATTN_ASSIGN_OR_RETURN(const SessionPtr adopted,
                        context_.sessions.Adopt(std::move(session)));
  response_ = ToWire(*adopted, context_.clock.Now());
  return absl::OkStatus();
}

void ImportCall::FinishWith(const absl::Status& status) {
  // Pages go back before the client hears that the import failed.
  reader_.reset();
  if (!status.ok() && !IsBroken(status)) {
    RecordRefusal(context_, status, trace_.trace_id());
  }
  recorder_.Finish(static_cast<int>(status.code()));
  trace_.End(static_cast<int>(status.code()));
  Finish(ToGrpcStatus(status));
}

}  // namespace attn
