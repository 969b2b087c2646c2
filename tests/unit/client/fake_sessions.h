// The SessionService of the fake server: it keeps lengths and no tensors, and
// fails as it was told.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "attn/v1/session.grpc.pb.h"
#include "tests/unit/client/fake_calls.h"

namespace attn::client {

// Thread-safe.
class FakeSessions : public attn::v1::SessionService::Service {
 public:
  FakeCalls& calls() { return calls_; }

  std::vector<std::string> session_ids() const;

  // Appends `tokens` to the layer and sets `length` to what it has then.
  grpc::Status Append(const attn::v1::SessionRef& ref, uint64_t tokens,
                      uint64_t& length);

  grpc::Status CreateSession(grpc::ServerContext* context,
                             const attn::v1::CreateSessionRequest* request,
                             attn::v1::Session* response) override;
  grpc::Status ForkSession(grpc::ServerContext* context,
                           const attn::v1::ForkSessionRequest* request,
                           attn::v1::Session* response) override;
  grpc::Status TruncateSession(grpc::ServerContext* context,
                               const attn::v1::TruncateSessionRequest* request,
                               attn::v1::Session* response) override;
  grpc::Status AppendKv(grpc::ServerContext* context,
                        const attn::v1::AppendKvRequest* request,
                        attn::v1::AppendKvResponse* response) override;
  grpc::Status GetSession(grpc::ServerContext* context,
                          const attn::v1::GetSessionRequest* request,
                          attn::v1::Session* response) override;
  // Two to a page unless asked for fewer; the token is the last id.
  grpc::Status ListSessions(grpc::ServerContext* context,
                            const attn::v1::ListSessionsRequest* request,
                            attn::v1::ListSessionsResponse* response) override;
  grpc::Status DeleteSession(
      grpc::ServerContext* context,
      const attn::v1::DeleteSessionRequest* request,
      attn::v1::DeleteSessionResponse* response) override;
  // "snapshot of <id>", a few bytes a message; told to fail, after the first.
  grpc::Status ExportSession(
      grpc::ServerContext* context,
      const attn::v1::ExportSessionRequest* request,
      grpc::ServerWriter<attn::v1::SnapshotChunk>* writer) override;
  // Takes what ExportSession gave; DATA_LOSS for anything else.
  grpc::Status ImportSession(
      grpc::ServerContext* context,
      grpc::ServerReader<attn::v1::ImportSessionRequest>* reader,
      attn::v1::Session* response) override;

 private:
  FakeCalls calls_;
  mutable absl::Mutex mutex_;  // Guards what follows.
  std::map<std::string, attn::v1::Session> sessions_;
};

}  // namespace attn::client
