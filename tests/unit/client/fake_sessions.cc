#include "tests/unit/client/fake_sessions.h"

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace attn::client {
namespace {

namespace pb = attn::v1;

const std::string kSnapshot = "snapshot of ";
constexpr size_t kChunkBytes = 5;

grpc::Status Error(grpc::StatusCode code, const std::string& reason,
                   const std::string& message,
                   const std::map<std::string, std::string>& metadata = {}) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.mutable_metadata()->insert(metadata.begin(), metadata.end());
  google::rpc::Status details;
  details.add_details()->PackFrom(info);
  return {code, message, details.SerializeAsString()};
}

grpc::Status NotFound(const std::string& id) {
  return Error(grpc::StatusCode::NOT_FOUND, "SESSION_NEVER_EXISTED",
               absl::StrCat("session \"", id, "\" never existed"));
}

grpc::Status Mismatch(uint64_t found) {
  return Error(grpc::StatusCode::FAILED_PRECONDITION, "LENGTH_MISMATCH",
               "the layer has another length",
               {{"found_length", absl::StrCat(found)}});
}

}  // namespace

std::vector<std::string> FakeSessions::session_ids() const {
  const absl::MutexLock lock(&mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, session] : sessions_) {
    ids.push_back(id);
  }
  return ids;
}

grpc::Status FakeSessions::Append(const pb::SessionRef& ref, uint64_t tokens,
                                  uint64_t& length) {
  const absl::MutexLock lock(&mutex_);
  const auto entry = sessions_.find(ref.session_id());
  if (entry == sessions_.end()) {
    return NotFound(ref.session_id());
  }
  pb::Session& session = entry->second;
  if (static_cast<int>(ref.layer()) >= session.layer_lengths_size()) {
    return Error(grpc::StatusCode::FAILED_PRECONDITION, "SPEC_MISMATCH",
                 "no such layer");
  }
  const uint64_t found = session.layer_lengths(static_cast<int>(ref.layer()));
  if (ref.has_expected_length() && ref.expected_length() != found) {
    return Mismatch(found);
  }
  length = found + tokens;
  session.set_layer_lengths(static_cast<int>(ref.layer()), length);
  return grpc::Status::OK;
}

grpc::Status FakeSessions::CreateSession(
    grpc::ServerContext* context, const pb::CreateSessionRequest* request,
    pb::Session* response) {
  if (grpc::Status told = calls_.Enter("CreateSession", *context); !told.ok()) {
    return told;
  }
  const absl::MutexLock lock(&mutex_);
  const std::string id = request->session_id().empty()
                             ? absl::StrCat("made-", sessions_.size())
                             : request->session_id();
  if (sessions_.contains(id)) {
    return Error(grpc::StatusCode::ALREADY_EXISTS, "SESSION_EXISTS",
                 absl::StrCat("session \"", id, "\" exists"));
  }
  pb::Session& session = sessions_[id];
  session.set_session_id(id);
  *session.mutable_spec() = request->spec();
  for (uint32_t layer = 0; layer < request->spec().num_layers(); ++layer) {
    session.add_layer_lengths(0);
  }
  session.set_kv_bytes(4096);
  session.mutable_created_at()->set_seconds(1'700'000'000);
  session.mutable_last_used_at()->set_seconds(1'700'000'060);
  *response = session;
  return grpc::Status::OK;
}

grpc::Status FakeSessions::ForkSession(grpc::ServerContext* context,
                                       const pb::ForkSessionRequest* request,
                                       pb::Session* response) {
  if (grpc::Status told = calls_.Enter("ForkSession", *context); !told.ok()) {
    return told;
  }
  const absl::MutexLock lock(&mutex_);
  const auto source = sessions_.find(request->source_session_id());
  if (source == sessions_.end()) {
    return NotFound(request->source_session_id());
  }
  pb::Session fork = source->second;
  fork.set_session_id(request->session_id());
  for (uint64_t& length : *fork.mutable_layer_lengths()) {
    length = request->has_length() ? request->length() : length;
  }
  sessions_[request->session_id()] = fork;
  *response = fork;
  return grpc::Status::OK;
}

grpc::Status FakeSessions::TruncateSession(
    grpc::ServerContext* context, const pb::TruncateSessionRequest* request,
    pb::Session* response) {
  if (grpc::Status told = calls_.Enter("TruncateSession", *context);
      !told.ok()) {
    return told;
  }
  const absl::MutexLock lock(&mutex_);
  const auto entry = sessions_.find(request->session_id());
  if (entry == sessions_.end()) {
    return NotFound(request->session_id());
  }
  auto& lengths = *entry->second.mutable_layer_lengths();
  for (int layer = 0; layer < lengths.size(); ++layer) {
    if (request->has_layer() && static_cast<int>(request->layer()) != layer) {
      continue;
    }
    if (request->length() > lengths[layer]) {
      return Mismatch(lengths[layer]);
    }
    lengths[layer] = request->length();
  }
  *response = entry->second;
  return grpc::Status::OK;
}

grpc::Status FakeSessions::AppendKv(grpc::ServerContext* context,
                                    const pb::AppendKvRequest* request,
                                    pb::AppendKvResponse* response) {
  if (grpc::Status told = calls_.Enter("AppendKv", *context); !told.ok()) {
    return told;
  }
  uint64_t length = 0;
  grpc::Status status =
      Append(request->session(), request->key().shape(2), length);
  response->set_session_length(length);
  return status;
}

grpc::Status FakeSessions::GetSession(grpc::ServerContext* context,
                                      const pb::GetSessionRequest* request,
                                      pb::Session* response) {
  if (grpc::Status told = calls_.Enter("GetSession", *context); !told.ok()) {
    return told;
  }
  const absl::MutexLock lock(&mutex_);
  const auto entry = sessions_.find(request->session_id());
  if (entry == sessions_.end()) {
    return NotFound(request->session_id());
  }
  *response = entry->second;
  return grpc::Status::OK;
}

grpc::Status FakeSessions::ListSessions(grpc::ServerContext* context,
                                        const pb::ListSessionsRequest* request,
                                        pb::ListSessionsResponse* response) {
  if (grpc::Status told = calls_.Enter("ListSessions", *context); !told.ok()) {
    return told;
  }
  constexpr int kPage = 2;
  const int size = request->page_size() == 1 ? 1 : kPage;
  const absl::MutexLock lock(&mutex_);
  auto entry = sessions_.upper_bound(request->page_token());
  while (entry != sessions_.end() && response->sessions_size() < size) {
    *response->add_sessions() = entry->second;
    ++entry;
  }
  if (entry != sessions_.end()) {
    response->set_next_page_token(response->sessions(size - 1).session_id());
  }
  return grpc::Status::OK;
}

grpc::Status FakeSessions::DeleteSession(
    grpc::ServerContext* context, const pb::DeleteSessionRequest* request,
    pb::DeleteSessionResponse* /*response*/) {
  if (grpc::Status told = calls_.Enter("DeleteSession", *context); !told.ok()) {
    return told;
  }
  const absl::MutexLock lock(&mutex_);
  return sessions_.erase(request->session_id()) > 0
             ? grpc::Status::OK
             : NotFound(request->session_id());
}

grpc::Status FakeSessions::ExportSession(
    grpc::ServerContext* context, const pb::ExportSessionRequest* request,
    grpc::ServerWriter<pb::SnapshotChunk>* writer) {
  grpc::Status told = calls_.Enter("ExportSession", *context);
  const std::string bytes = kSnapshot + request->session_id();
  pb::SnapshotChunk chunk;
  for (size_t at = 0; at < bytes.size(); at += kChunkBytes) {
    chunk.set_data(bytes.substr(at, kChunkBytes));
    writer->Write(chunk);
    if (!told.ok()) {
      return told;
    }
  }
  const absl::MutexLock lock(&mutex_);
  return sessions_.contains(request->session_id())
             ? grpc::Status::OK
             : NotFound(request->session_id());
}

grpc::Status FakeSessions::ImportSession(
    grpc::ServerContext* context,
    grpc::ServerReader<pb::ImportSessionRequest>* reader,
    pb::Session* response) {
  if (grpc::Status told = calls_.Enter("ImportSession", *context); !told.ok()) {
    return told;
  }
  std::string id, bytes;
  pb::ImportSessionRequest message;
  while (reader->Read(&message)) {
    id += message.session_id();
    bytes += message.data();
  }
  if (!bytes.starts_with(kSnapshot)) {
    return Error(grpc::StatusCode::DATA_LOSS, "SNAPSHOT_DAMAGED",
                 "snapshot: is none");
  }
  const absl::MutexLock lock(&mutex_);
  pb::Session session;
  session.set_session_id(id.empty() ? bytes.substr(kSnapshot.size()) : id);
  session.mutable_spec()->set_num_layers(1);
  session.add_layer_lengths(bytes.size());
  sessions_[session.session_id()] = session;
  *response = session;
  return grpc::Status::OK;
}

}  // namespace attn::client
