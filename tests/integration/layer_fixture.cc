#include "tests/integration/layer_fixture.h"

#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "tests/integration/raw_call.h"
#include "tests/support/random.h"

namespace attn::test {
namespace {

template <typename Reply>
absl::StatusOr<Reply> Call(client::Transport& transport, const char* method,
                           const google::protobuf::MessageLite& request) {
  Reply reply;
  const absl::Status status =
      CallRaw(transport, method, request.SerializeAsString(), reply);
  if (!status.ok()) return status;
  return reply;
}

}  // namespace

std::vector<double> HiddenRows(int64_t rows, int64_t hidden_dim,
                               uint64_t seed) {
  Random random(seed);
  std::vector<double> values(static_cast<size_t>(rows * hidden_dim));
  for (double& value : values) {
    value = static_cast<double>(static_cast<float>(random.Gaussian()));
  }
  return values;
}

v1::Tensor ToTensor(const std::vector<double>& values,
                    const std::vector<int64_t>& dims) {
  const std::vector<float> floats(values.begin(), values.end());
  v1::Tensor tensor;
  tensor.set_dtype(v1::DATA_TYPE_F32);
  tensor.mutable_shape()->Add(dims.begin(), dims.end());
  tensor.set_data(floats.data(), floats.size() * sizeof(float));
  return tensor;
}

std::vector<double> ToValues(const v1::Tensor& tensor) {
  ATTN_CHECK(tensor.dtype() == v1::DATA_TYPE_F32);
  std::vector<float> floats(tensor.data().size() / sizeof(float));
  std::memcpy(floats.data(), tensor.data().data(), tensor.data().size());
  return {floats.begin(), floats.end()};
}

LayerServer::LayerServer() {
  written_ = WriteCheckpoint(llama_, folder_.At("llama"));
  CheckpointOptions gpt2;
  gpt2.model_type = "gpt2";
  WriteCheckpoint(gpt2, folder_.At("gpt2"));
}

void LayerServer::Start(std::vector<std::string> flags) {
  transport_ = nullptr;
  process_ = nullptr;
  flags.insert(flags.end(), {"--layers", folder_.path()});
  process_ = std::make_unique<ServerProcess>(flags);
  transport_ =
      *client::Transport::Create({.address = process_->grpc_address()});
}

ReferenceLayer LayerServer::Reference(int64_t index,
                                      WeightFormat format) const {
  return MakeReferenceLayer(llama_, written_[static_cast<size_t>(index)], index,
                            format);
}

v1::ForwardRequest LayerServer::Request(int64_t rows, uint64_t seed) const {
  v1::ForwardRequest request;
  request.set_layer("llama/0");
  *request.mutable_hidden() = ToTensor(
      HiddenRows(rows, llama_.hidden_dim, seed), {1, rows, llama_.hidden_dim});
  return request;
}

absl::StatusOr<v1::ForwardResponse> LayerServer::Forward(
    const v1::ForwardRequest& request) const {
  return Call<v1::ForwardResponse>(*transport_, "/attn.v1.LayerService/Forward",
                                   request);
}

absl::StatusOr<v1::ForwardBatchResponse> LayerServer::ForwardBatch(
    const v1::ForwardBatchRequest& request) const {
  return Call<v1::ForwardBatchResponse>(
      *transport_, "/attn.v1.LayerService/ForwardBatch", request);
}

absl::StatusOr<v1::ListLayersResponse> LayerServer::ListLayers(
    uint32_t page_size, const std::string& page_token) const {
  v1::ListLayersRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Call<v1::ListLayersResponse>(
      *transport_, "/attn.v1.LayerService/ListLayers", request);
}

absl::StatusOr<v1::Layer> LayerServer::GetLayer(const std::string& name) const {
  v1::GetLayerRequest request;
  request.set_name(name);
  return Call<v1::Layer>(*transport_, "/attn.v1.LayerService/GetLayer",
                         request);
}

absl::StatusOr<v1::Layer> LayerServer::LoadLayer(
    const std::string& name, v1::WeightFormat weights) const {
  v1::LoadLayerRequest request;
  request.set_name(name);
  request.set_weights(weights);
  return Call<v1::Layer>(*transport_, "/attn.v1.LayerService/LoadLayer",
                         request);
}

absl::Status LayerServer::UnloadLayer(const std::string& name) const {
  v1::UnloadLayerRequest request;
  request.set_name(name);
  return Call<v1::UnloadLayerResponse>(
             *transport_, "/attn.v1.LayerService/UnloadLayer", request)
      .status();
}

}  // namespace attn::test
