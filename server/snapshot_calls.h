// The reactors of ExportSession and ImportSession. Each owns itself until
// gRPC's OnDone. Chunks of 1 MiB are copied and summed (CRC32C) on gRPC's
// thread, about 0.2 ms each; one read or write is under way at a time, so flow
// control holds back whichever side is faster.
#pragma once

#include <memory>
#include <optional>

#include "attn/v1/session.pb.h"
#include "core/snapshot/snapshot_reader.h"
#include "core/snapshot/snapshot_writer.h"
#include "core/tenant/tenant.h"
#include "grpcpp/support/server_callback.h"
#include "server/call_trace.h"
#include "server/request_flow.h"
#include "server/rpc_recorder.h"

namespace attn {

// The session as it was when the call came.
class ExportCall final : public grpc::ServerWriteReactor<v1::SnapshotChunk> {
 public:
  // Borrows context and call. Starts at once.
  ExportCall(const AttendContext& context, Tenant& tenant,
             grpc::CallbackServerContext& call,
             const v1::ExportSessionRequest& request);

  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  void WriteNext();
  void FinishWith(const absl::Status& status);

  const AttendContext& context_;
  Tenant& tenant_;
  const grpc::CallbackServerContext& call_;
  RpcRecorder recorder_;
  CallTrace trace_;
  SessionPtr session_;  // Held: it does not expire meanwhile.
  std::optional<SnapshotWriter> writer_;
  v1::SnapshotChunk chunk_;  // gRPC's while a write is under way.
};

// A session that nobody sees until all of it is there.
class ImportCall final
    : public grpc::ServerReadReactor<v1::ImportSessionRequest> {
 public:
  // Borrows context, call and response. Starts at once.
  ImportCall(const AttendContext& context, Tenant& tenant,
             grpc::CallbackServerContext& call, v1::Session& response);

  void OnReadDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  absl::Status Add();
  absl::Status CheckMessage();
  // Learns the id from the snapshot's head and asks early whether it is free.
  absl::Status SettleId();
  absl::Status Publish();
  void FinishWith(const absl::Status& status);

  const AttendContext& context_;
  Tenant& tenant_;
  const grpc::CallbackServerContext& call_;
  v1::Session& response_;
  RpcRecorder recorder_;
  CallTrace trace_;
  std::optional<SnapshotReader> reader_;
  std::string session_id_;  // Empty: the snapshot's own, once it is known.
  bool is_first_ = true;
  bool is_settled_ = false;
  v1::ImportSessionRequest message_;  // gRPC's while a read is under way.
};

}  // namespace attn
