// ExportSession and ImportSession of client.h.
#include <memory>
#include <utility>

#include "client/cpp/client.h"
#include "client/cpp/session_codec.h"
#include "client/cpp/unary_call.h"

namespace attn::client {
namespace {

namespace pb = attn::v1;

constexpr char kExport[] = "/attn.v1.SessionService/ExportSession";
constexpr char kImport[] = "/attn.v1.SessionService/ImportSession";

WireMessage Encode(const google::protobuf::MessageLite& message) {
  WireMessage wire;
  wire.Append(message.SerializeAsString());
  return wire;
}

// Ends a stream for a reason of our own.
absl::Status Abandon(ByteStream& stream, absl::Status reason) {
  stream.Cancel();
  static_cast<void>(stream.Finish());
  return reason;
}

// Sends all that `source` has; stops early where the server takes no more.
absl::Status SendAll(const SnapshotSource& source,
                     const std::string& session_id, ByteStream& stream) {
  pb::ImportSessionRequest message;
  message.set_session_id(session_id);
  while (true) {
    absl::StatusOr<std::string> bytes = source();
    if (!bytes.ok()) {
      return bytes.status();
    }
    if (bytes->empty() && message.session_id().empty()) {
      return absl::OkStatus();
    }
    message.set_data(*std::move(bytes));
    if (!stream.Write(Encode(message)) || message.data().empty()) {
      return absl::OkStatus();
    }
    message.clear_session_id();
  }
}

}  // namespace

absl::Status Client::ExportSession(const std::string& session_id,
                                   const SnapshotSink& sink,
                                   const CallOptions& options) {
  pb::ExportSessionRequest request;
  request.set_session_id(session_id);
  CallSettings settings = Resolve(options, absl::InfiniteDuration());
  AddSessionKey(session_id, settings);
  const std::unique_ptr<ByteStream> stream =
      transport_->OpenStream(kExport, settings);
  if (stream->Write(Encode(request))) {
    stream->WritesDone();
  }
  pb::SnapshotChunk chunk;
  while (stream->Read(chunk)) {
    if (absl::Status taken = sink(chunk.data()); !taken.ok()) {
      return Abandon(*stream, std::move(taken));
    }
  }
  return stream->Finish();
}

absl::StatusOr<Session> Client::ImportSession(const SnapshotSource& source,
                                              const std::string& session_id,
                                              const CallOptions& options) {
  CallSettings settings = Resolve(options, absl::InfiniteDuration());
  AddSessionKey(session_id, settings);
  const std::unique_ptr<ByteStream> stream =
      transport_->OpenStream(kImport, settings);
  if (absl::Status sent = SendAll(source, session_id, *stream); !sent.ok()) {
    return Abandon(*stream, std::move(sent));
  }
  stream->WritesDone();
  pb::Session reply;
  const bool is_answered = stream->Read(reply);
  if (absl::Status status = stream->Finish(); !status.ok()) {
    return status;
  }
  if (!is_answered) {
    return absl::InternalError("the reply does not parse");
  }
  return DecodeSession(reply);
}

}  // namespace attn::client
