#include "tests/unit/client/fake_layers.h"

#include "absl/strings/str_cat.h"

namespace attn::client {
namespace {

namespace pb = attn::v1;

pb::Layer MakeLayer(const std::string& name) {
  pb::Layer layer;
  layer.set_name(name);
  layer.set_model_type("llama");
  layer.set_hidden_dim(4);
  layer.set_output_dim(4);
  layer.set_num_q_heads(2);
  layer.set_num_kv_heads(1);
  layer.set_head_dim(2);
  layer.set_causal(pb::CAUSAL_TOP_LEFT);
  layer.set_weights(pb::WEIGHT_FORMAT_BF16);
  return layer;
}

grpc::Status NotLoaded(const std::string& name) {
  return {grpc::StatusCode::NOT_FOUND, absl::StrCat("no layer ", name)};
}

}  // namespace

FakeLayers::FakeLayers() {
  for (const char* name : {"tiny/0", "tiny/1", "tiny/2"}) {
    layers_[name] = MakeLayer(name);
  }
}

grpc::Status FakeLayers::Echo(const pb::ForwardRequest& request,
                              pb::ForwardResponse& response) const {
  const absl::MutexLock lock(&mutex_);
  response.set_request_id(request.request_id());
  if (!layers_.contains(request.layer())) {
    return NotLoaded(request.layer());
  }
  *response.mutable_output() = request.hidden();
  response.mutable_timing()->set_batch_size(1);
  if (request.has_session()) {
    response.set_session_length(request.session().expected_length() + 1);
  }
  return grpc::Status::OK;
}

grpc::Status FakeLayers::Forward(grpc::ServerContext* context,
                                 const pb::ForwardRequest* request,
                                 pb::ForwardResponse* response) {
  grpc::Status status = calls_.Enter("Forward", *context);
  return status.ok() ? Echo(*request, *response) : status;
}

grpc::Status FakeLayers::ForwardBatch(grpc::ServerContext* context,
                                      const pb::ForwardBatchRequest* request,
                                      pb::ForwardBatchResponse* response) {
  grpc::Status status = calls_.Enter("ForwardBatch", *context);
  for (const pb::ForwardRequest& item : request->requests()) {
    pb::ForwardResult& result = *response->add_results();
    const grpc::Status found = Echo(item, *result.mutable_response());
    result.mutable_status()->set_code(found.error_code());
    result.mutable_status()->set_message(found.error_message());
  }
  return status;
}

grpc::Status FakeLayers::ListLayers(grpc::ServerContext* context,
                                    const pb::ListLayersRequest* request,
                                    pb::ListLayersResponse* response) {
  grpc::Status status = calls_.Enter("ListLayers", *context);
  const absl::MutexLock lock(&mutex_);
  const int page_size = request->page_size() == 1 ? 1 : 2;
  for (auto entry = layers_.upper_bound(request->page_token());
       entry != layers_.end(); ++entry) {
    if (response->layers_size() == page_size) {
      response->set_next_page_token(response->layers(page_size - 1).name());
      break;
    }
    *response->add_layers() = entry->second;
  }
  return status;
}

grpc::Status FakeLayers::GetLayer(grpc::ServerContext* context,
                                  const pb::GetLayerRequest* request,
                                  pb::Layer* response) {
  grpc::Status status = calls_.Enter("GetLayer", *context);
  const absl::MutexLock lock(&mutex_);
  const auto entry = layers_.find(request->name());
  if (status.ok() && entry == layers_.end()) {
    return NotLoaded(request->name());
  }
  if (status.ok()) {
    *response = entry->second;
  }
  return status;
}

grpc::Status FakeLayers::LoadLayer(grpc::ServerContext* context,
                                   const pb::LoadLayerRequest* request,
                                   pb::Layer* response) {
  grpc::Status status = calls_.Enter("LoadLayer", *context);
  if (!status.ok()) {
    return status;
  }
  const absl::MutexLock lock(&mutex_);
  *response = MakeLayer(request->name());
  response->set_weights(request->weights());
  layers_[request->name()] = *response;
  return status;
}

grpc::Status FakeLayers::UnloadLayer(grpc::ServerContext* context,
                                     const pb::UnloadLayerRequest* request,
                                     pb::UnloadLayerResponse* /*response*/) {
  grpc::Status status = calls_.Enter("UnloadLayer", *context);
  const absl::MutexLock lock(&mutex_);
  if (status.ok() && layers_.erase(request->name()) == 0) {
    return NotLoaded(request->name());
  }
  return status;
}

}  // namespace attn::client
