// Layers that come and go while others work: what runs keeps its layer, memory
// comes back, and loads that wait hold up nobody.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "client/cpp/error_details.h"
#include "gtest/gtest.h"
#include "tests/integration/layer_fixture.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

using absl::StatusCode;

// As many as may wait.
constexpr int kMaxWaiting = 64;

void ExpectError(const absl::Status& status, StatusCode code,
                 const std::string& reason) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_EQ(client::ErrorReason(status), reason) << status;
}

// A model whose config.json is a pipe: who loads it waits for somebody to write
// there, as for a disk that does not answer.
class StalledModel {
 public:
  explicit StalledModel(const std::string& folder)
      : config_(folder + "/config.json") {
    std::filesystem::create_directory(folder);
    EXPECT_EQ(mkfifo(config_.c_str(), 0600), 0);
  }
  // Waits for the load and lets it go on, to find that this is no model.
  void Release() const { close(open(config_.c_str(), O_WRONLY | O_CLOEXEC)); }

 private:
  const std::string config_;
};

class LayerLoadingTest : public testing::Test {
 protected:
  void AwaitWeightBytes(double bytes) {
    server_.AwaitMetrics([bytes](const attnctl::MetricSet& metrics) {
      return metrics.Sum("attn_layer_weight_bytes") == bytes;
    });
  }
  double WeightBytes() {
    return server_.process().Metrics().Sum("attn_layer_weight_bytes");
  }
  static int NumEnded(const std::vector<LayerServer::PendingLoad>& loads) {
    return static_cast<int>(
        std::count_if(loads.begin(), loads.end(),
                      [](const auto& load) { return load->has_ended(); }));
  }

  LayerServer server_;
};

TEST_F(LayerLoadingTest, WhatRunsKeepsALayerThatIsUnloaded) {
  server_.Start({"--load-layers", "llama/0", "--layer-loading", "--workers",
                 "1", "--max-queue-wait", "10m"});
  server_.MakeSession("s");
  const double layer_bytes = WeightBytes();
  EXPECT_GT(layer_bytes, 0);
  const v1::ForwardRequest request = server_.Request(Scaled(16384, 8192), 1);
  const auto running = server_.BeginForward(request);
  v1::ForwardBatchRequest lane;
  for (int i = 0; i < 5; ++i) {
    *lane.add_requests() = server_.Request(100, 2);
    lane.mutable_requests(i)->mutable_session()->set_session_id("s");
  }
  const auto waiting = server_.BeginForwardBatch(lane);
  server_.AwaitAdmitted(2);

  EXPECT_TRUE(server_.UnloadLayer("llama/0").ok());
  ExpectError(server_.Forward(server_.Request(2, 1)).status(),
              StatusCode::kNotFound, "LAYER_NOT_LOADED");
  ExpectError(server_.GetLayer("llama/0").status(), StatusCode::kNotFound,
              "LAYER_NOT_LOADED");
  EXPECT_EQ(WeightBytes(), layer_bytes) << "they are in use yet";
  EXPECT_TRUE(server_.LoadLayer("llama/0").ok());
  EXPECT_EQ(WeightBytes(), 2 * layer_bytes);
  EXPECT_FALSE(running->has_ended()) << "too short to prove anything";

  const auto ran = running->Wait();
  ASSERT_TRUE(ran.ok()) << ran.status();
  const auto waited = waiting->Wait();
  ASSERT_TRUE(waited.ok()) << waited.status();
  for (const v1::ForwardResult& result : waited->results()) {
    EXPECT_EQ(result.status().code(), 0) << result.status().message();
  }
  EXPECT_EQ(server_.LengthOf("s"), 500);
  EXPECT_EQ(ran->output().data(), server_.Forward(request)->output().data());
  AwaitWeightBytes(layer_bytes);
  EXPECT_TRUE(server_.UnloadLayer("llama/0").ok());
  AwaitWeightBytes(0);
}

TEST_F(LayerLoadingTest, LoadsWaitAndAFullQueueOfThemRefuses) {
  server_.Start({"--load-layers", "llama/0", "--layer-loading"});
  const StalledModel model(server_.folder() + "/stalled");
  const auto stalled = server_.BeginLoad("stalled/0");
  ASSERT_TRUE(server_.Forward(server_.Request(2, 1)).ok());
  constexpr int kLoads = kMaxWaiting + 16;
  std::vector<LayerServer::PendingLoad> loads;
  LayerServer::PendingLoad unwanted;
  for (int i = 0; i < kLoads; ++i) {
    loads.push_back(server_.BeginLoad(i % 2 == 0 ? "llama/1" : "gpt2/0"));
    if (i == kLoads / 2) unwanted = server_.BeginLoad("gpt2/1");
  }
  constexpr int kRefused = kLoads + 1 - kMaxWaiting;
  while (NumEnded(loads) < kRefused) absl::SleepFor(absl::Milliseconds(1));

  // Everything else goes on.
  unwanted->Cancel();
  EXPECT_TRUE(server_.Forward(server_.Request(2, 1)).ok());
  EXPECT_TRUE(server_.GetLayer("llama/0").ok());
  EXPECT_TRUE(server_.UnloadLayer("llama/0").ok());
  const absl::Status refused = server_.LoadLayer("llama/0").status();
  ExpectError(refused, StatusCode::kResourceExhausted, "QUEUE_FULL");
  EXPECT_GT(client::RetryDelay(refused).value_or(absl::ZeroDuration()),
            absl::ZeroDuration());
  EXPECT_FALSE(stalled->has_ended());
  EXPECT_EQ(NumEnded(loads), kRefused);

  model.Release();
  ExpectError(stalled->Wait().status(), StatusCode::kFailedPrecondition,
              "BAD_CHECKPOINT");
  int num_loaded = 0;
  int num_refused = 0;
  for (const auto& load : loads) {
    const absl::Status status = load->Wait().status();
    const std::string reason = client::ErrorReason(status);
    num_loaded += status.ok() ? 1 : 0;
    num_refused += reason == "QUEUE_FULL" ? 1 : 0;
    EXPECT_TRUE(status.ok() || reason == "QUEUE_FULL" ||
                reason == "LAYER_LOADED")
        << status;
  }
  EXPECT_EQ(num_loaded, 2) << "llama/1 and gpt2/0";
  EXPECT_EQ(num_refused, kRefused);
  EXPECT_EQ(server_.process().Metrics().Sum("attn_refused_total",
                                            {{"reason", "QUEUE_FULL"}}),
            kRefused + 1);
  // Nobody waited for it any more.
  ExpectError(server_.GetLayer("gpt2/1").status(), StatusCode::kNotFound,
              "LAYER_NOT_LOADED");
  EXPECT_TRUE(server_.LoadLayer("llama/0").ok());
}

TEST_F(LayerLoadingTest, ADrainLoadsNothingMore) {
  server_.Start({"--load-layers", "llama/0", "--layer-loading", "--drain-delay",
                 "0", "--drain-timeout", "60s"});
  const StalledModel model(server_.folder() + "/stalled");
  const auto stalled = server_.BeginLoad("stalled/0");
  ASSERT_TRUE(server_.Forward(server_.Request(1, 1)).ok());  // It is there,
  const auto waiting = server_.BeginLoad("llama/1");
  ASSERT_TRUE(server_.Forward(server_.Request(1, 1)).ok());  // and this, too.
  server_.process().Signal(SIGTERM);
  // Until it is said that the server drains.
  while (server_.Forward(server_.Request(1, 1)).ok()) {
  }
  model.Release();
  ExpectError(stalled->Wait().status(), StatusCode::kFailedPrecondition,
              "BAD_CHECKPOINT");
  ExpectError(waiting->Wait().status(), StatusCode::kUnavailable, "DRAINING");
  EXPECT_EQ(server_.process().Wait(), 0);
}

}  // namespace
}  // namespace attn::test
