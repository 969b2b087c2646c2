// A real server with the layers of tiny checkpoints that tests write, and calls
// of LayerService as bytes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attn/v1/layer.pb.h"
#include "client/cpp/transport.h"
#include "tests/integration/raw_call.h"
#include "tests/integration/server_process.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/layer_reference.h"
#include "tests/support/temporary_folder.h"

namespace attn::test {

// [1, rows, hidden_dim], Gaussian.
std::vector<double> HiddenRows(int64_t rows, int64_t hidden_dim, uint64_t seed);

v1::Tensor ToTensor(const std::vector<double>& values,
                    const std::vector<int64_t>& dims);
std::vector<double> ToValues(const v1::Tensor& tensor);

// Confined to the test's thread.
class LayerServer {
 public:
  // Models "llama" and "gpt2", of two layers each.
  LayerServer();

  // (Re)starts the server with these flags beside --layers.
  void Start(std::vector<std::string> flags = {});
  ServerProcess& process() { return *process_; }
  client::Transport& transport() { return *transport_; }
  const std::string& folder() const { return folder_.path(); }

  const CheckpointOptions& llama() const { return llama_; }
  // Layer `index` of it, as the server has to compute it.
  ReferenceLayer Reference(int64_t index, WeightFormat format) const;

  // Asks for /metrics until `is_so` of them.
  using MetricsTest = std::function<bool(const attnctl::MetricSet&)>;
  attnctl::MetricSet AwaitMetrics(const MetricsTest& is_so) const;
  // Waits until `num_tasks` were admitted, or ended.
  void AwaitAdmitted(int num_tasks) const;
  attnctl::MetricSet AwaitEnded(int num_tasks) const;

  // Sessions for the layers of "llama".
  void MakeSession(const std::string& id) const;
  int64_t LengthOf(const std::string& id) const;

  // A request for llama/0 with `rows` rows.
  v1::ForwardRequest Request(int64_t rows, uint64_t seed) const;

  // Calls that go on while the test does.
  using PendingForward = std::unique_ptr<PendingReply<v1::ForwardResponse>>;
  PendingForward BeginForward(const v1::ForwardRequest& request,
                              const client::CallSettings& settings = {}) const;
  using PendingBatch = std::unique_ptr<PendingReply<v1::ForwardBatchResponse>>;
  PendingBatch BeginForwardBatch(const v1::ForwardBatchRequest& request) const;
  using PendingLoad = std::unique_ptr<PendingReply<v1::Layer>>;
  PendingLoad BeginLoad(
      const std::string& name,
      v1::WeightFormat weights = v1::WEIGHT_FORMAT_UNSPECIFIED) const;

  absl::StatusOr<v1::ForwardResponse> Forward(
      const v1::ForwardRequest& request) const;
  absl::StatusOr<v1::ForwardBatchResponse> ForwardBatch(
      const v1::ForwardBatchRequest& request) const;
  absl::StatusOr<v1::ListLayersResponse> ListLayers(
      uint32_t page_size = 0, const std::string& page_token = "") const;
  absl::StatusOr<v1::Layer> GetLayer(const std::string& name) const;
  absl::StatusOr<v1::Layer> LoadLayer(
      const std::string& name,
      v1::WeightFormat weights = v1::WEIGHT_FORMAT_UNSPECIFIED) const;
  absl::Status UnloadLayer(const std::string& name) const;

 private:
  TemporaryFolder folder_;
  CheckpointOptions llama_;
  std::vector<WrittenLayer> written_;
  std::unique_ptr<ServerProcess> process_;
  std::unique_ptr<client::Transport> transport_;
};

}  // namespace attn::test
