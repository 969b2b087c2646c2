// The LayerService of the fake server: it has the layers that it was told,
// echoes hidden as output and fails as it was told.
#pragma once

#include <map>
#include <string>

#include "absl/synchronization/mutex.h"
#include "attn/v1/layer.grpc.pb.h"
#include "tests/unit/client/fake_calls.h"

namespace attn::client {

// Thread-safe. It begins with tiny/0, tiny/1 and tiny/2.
class FakeLayers : public attn::v1::LayerService::Service {
 public:
  FakeLayers();

  FakeCalls& calls() { return calls_; }

  // Echoes hidden; session_length is one more than expected_length.
  grpc::Status Forward(grpc::ServerContext* context,
                       const attn::v1::ForwardRequest* request,
                       attn::v1::ForwardResponse* response) override;
  grpc::Status ForwardBatch(grpc::ServerContext* context,
                            const attn::v1::ForwardBatchRequest* request,
                            attn::v1::ForwardBatchResponse* response) override;
  // Two to a page unless asked for fewer; the token is the last name.
  grpc::Status ListLayers(grpc::ServerContext* context,
                          const attn::v1::ListLayersRequest* request,
                          attn::v1::ListLayersResponse* response) override;
  grpc::Status GetLayer(grpc::ServerContext* context,
                        const attn::v1::GetLayerRequest* request,
                        attn::v1::Layer* response) override;
  grpc::Status LoadLayer(grpc::ServerContext* context,
                         const attn::v1::LoadLayerRequest* request,
                         attn::v1::Layer* response) override;
  grpc::Status UnloadLayer(grpc::ServerContext* context,
                           const attn::v1::UnloadLayerRequest* request,
                           attn::v1::UnloadLayerResponse* response) override;

 private:
  grpc::Status Echo(const attn::v1::ForwardRequest& request,
                    attn::v1::ForwardResponse& response) const;

  FakeCalls calls_;
  mutable absl::Mutex mutex_;  // Guards what follows.
  std::map<std::string, attn::v1::Layer> layers_;
};

}  // namespace attn::client
