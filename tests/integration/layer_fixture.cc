#include "tests/integration/layer_fixture.h"

#include <cstring>
#include <utility>

#include "absl/time/clock.h"
#include "core/base/check.h"
#include "tests/support/random.h"

namespace attn::test {
namespace {

template <typename Reply>
std::unique_ptr<PendingReply<Reply>> Begin(
    client::Transport& transport, const char* method,
    const google::protobuf::MessageLite& request,
    const client::CallSettings& settings = {}) {
  return std::make_unique<PendingReply<Reply>>(transport, method, request,
                                               settings);
}

// Of gRPC 1.51 the last channel waits up to 10 s for a poller that a large
// message has left behind. This one stays for as long as the process.
void KeepGrpcAlive() {
  static const client::Transport* const kept =
      client::Transport::Create({})->release();
  ATTN_CHECK(kept != nullptr);
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
  KeepGrpcAlive();
  transport_ = nullptr;
  process_ = nullptr;
  flags.insert(flags.end(), {"--layers", folder_.path()});
  process_ = std::make_unique<ServerProcess>(flags);
  // Tests see what the server says, and say it again themselves.
  transport_ = *client::Transport::Create(
      {.address = process_->grpc_address(), .retry = {.max_attempts = 1}});
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

attnctl::MetricSet LayerServer::AwaitMetrics(const MetricsTest& is_so) const {
  for (;;) {
    attnctl::MetricSet metrics = process_->Metrics();
    if (is_so(metrics)) return metrics;
    absl::SleepFor(absl::Milliseconds(1));  // The workers are nice.
  }
}

void LayerServer::AwaitAdmitted(int num_tasks) const {
  AwaitMetrics([num_tasks](const attnctl::MetricSet& metrics) {
    return metrics.Sum("attn_admitted_tasks_total") >= num_tasks;
  });
}

attnctl::MetricSet LayerServer::AwaitEnded(int num_tasks) const {
  return AwaitMetrics([num_tasks](const attnctl::MetricSet& metrics) {
    return metrics.Sum("attn_tasks_total") >= num_tasks &&
           metrics.Sum("attn_inflight_bytes") == 0;
  });
}

void LayerServer::MakeSession(const std::string& id) const {
  const auto made = process_->NewClient()->CreateSession(
      {.num_layers = 2, .num_kv_heads = 2, .head_dim = 8}, id);
  ATTN_CHECK(made.ok());
}

int64_t LayerServer::LengthOf(const std::string& id) const {
  const auto session = process_->NewClient()->GetSession(id);
  ATTN_CHECK(session.ok());
  return static_cast<int64_t>(session->layer_lengths[0]);
}

LayerServer::PendingForward LayerServer::BeginForward(
    const v1::ForwardRequest& request,
    const client::CallSettings& settings) const {
  return Begin<v1::ForwardResponse>(
      *transport_, "/attn.v1.LayerService/Forward", request, settings);
}

LayerServer::PendingBatch LayerServer::BeginForwardBatch(
    const v1::ForwardBatchRequest& request) const {
  return Begin<v1::ForwardBatchResponse>(
      *transport_, "/attn.v1.LayerService/ForwardBatch", request);
}

LayerServer::PendingLoad LayerServer::BeginLoad(
    const std::string& name, v1::WeightFormat weights) const {
  v1::LoadLayerRequest request;
  request.set_name(name);
  request.set_weights(weights);
  return Begin<v1::Layer>(*transport_, "/attn.v1.LayerService/LoadLayer",
                          request);
}

absl::StatusOr<v1::ForwardResponse> LayerServer::Forward(
    const v1::ForwardRequest& request) const {
  return BeginForward(request)->Wait();
}

absl::StatusOr<v1::ForwardBatchResponse> LayerServer::ForwardBatch(
    const v1::ForwardBatchRequest& request) const {
  return BeginForwardBatch(request)->Wait();
}

absl::StatusOr<v1::ListLayersResponse> LayerServer::ListLayers(
    uint32_t page_size, const std::string& page_token) const {
  v1::ListLayersRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Begin<v1::ListLayersResponse>(
             *transport_, "/attn.v1.LayerService/ListLayers", request)
      ->Wait();
}

absl::StatusOr<v1::Layer> LayerServer::GetLayer(const std::string& name) const {
  v1::GetLayerRequest request;
  request.set_name(name);
  return Begin<v1::Layer>(*transport_, "/attn.v1.LayerService/GetLayer",
                          request)
      ->Wait();
}

absl::StatusOr<v1::Layer> LayerServer::LoadLayer(
    const std::string& name, v1::WeightFormat weights) const {
  return BeginLoad(name, weights)->Wait();
}

absl::Status LayerServer::UnloadLayer(const std::string& name) const {
  v1::UnloadLayerRequest request;
  request.set_name(name);
  return Begin<v1::UnloadLayerResponse>(
             *transport_, "/attn.v1.LayerService/UnloadLayer", request)
      ->Wait()
      .status();
}

}  // namespace attn::test
