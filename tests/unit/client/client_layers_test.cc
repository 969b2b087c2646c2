// The layer calls of the client, and `attnctl layer`, against a server in the
// same process (fake_server.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "absl/synchronization/notification.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/npy.h"
#include "client/cpp/client.h"
#include "tests/unit/client/fake_server.h"

namespace attn::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kUnavailable = 14;

class ClientLayersTest : public ::testing::Test {
 protected:
  ClientLayersTest() {
    ClientOptions options;
    options.address = server_.address();
    options.retry.initial_backoff = absl::Milliseconds(10);
    client_ = Client::Create(options).value();
  }

  static ForwardRequest Request(std::string layer = "tiny/0") {
    return {
        .request_id = "r",
        .layer = std::move(layer),
        .hidden =
            Tensor::FromFloats({1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 4}).value()};
  }

  FakeServer server_;
  std::unique_ptr<Client> client_;
};

TEST_F(ClientLayersTest, ForwardAnswersTheOutput) {
  const auto response = client_->Forward(Request());
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->request_id, "r");
  EXPECT_THAT(response->output.shape(), ElementsAre(1, 2, 4));
  EXPECT_EQ(response->output.bytes(), Request().hidden.bytes());
  EXPECT_EQ(client_->Forward(Request("no/0")).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(ClientLayersTest, AsynchronousForwardGivesTheResponse) {
  absl::Notification done;
  absl::StatusOr<ForwardResponse> response;
  client_->ForwardAsync(Request(), [&](absl::StatusOr<ForwardResponse> found) {
    response = std::move(found);
    done.Notify();
  });
  done.WaitForNotification();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->timing.batch_size, 1);
}

TEST_F(ClientLayersTest, BatchAnswersEachForItself) {
  const auto results =
      client_->ForwardBatch({Request("tiny/0"), Request("no/0")});
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_EQ(results->size(), 2);
  EXPECT_TRUE((*results)[0].status.ok());
  EXPECT_EQ((*results)[1].status.code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientLayersTest, ForwardWithASessionIsRetriedOnlyWithExpectedLength) {
  ForwardRequest request = Request();
  request.session = SessionRef{.session_id = "s1"};
  server_.ExpectLayerCalls({{kUnavailable}});
  EXPECT_FALSE(client_->Forward(request).ok());
  request.session->expected_length = 4;
  server_.ExpectLayerCalls({{kUnavailable}});
  const auto response = client_->Forward(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->session_length, 5);
  EXPECT_THAT(server_.layer_calls(),
              ElementsAre("Forward s1", "Forward s1", "Forward s1"));
}

// One that must not be repeated is enough.
TEST_F(ClientLayersTest, BatchIsRetriedOnlyWhereAllOfItMayBe) {
  std::vector<ForwardRequest> requests = {Request(), Request()};
  requests[1].session = SessionRef{.session_id = "s1"};
  server_.ExpectLayerCalls({{kUnavailable}});
  EXPECT_FALSE(client_->ForwardBatch(requests).ok());
  requests[1].session->expected_length = 4;
  server_.ExpectLayerCalls({{kUnavailable}});
  const auto results = client_->ForwardBatch(requests);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_THAT(
      server_.layer_calls(),
      ElementsAre("ForwardBatch -", "ForwardBatch -", "ForwardBatch -"));
}

TEST_F(ClientLayersTest, ListGivesAllPages) {
  const auto page = client_->ListLayers(1);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->layers.size(), 1);
  EXPECT_EQ(page->next_page_token, "tiny/0");
  const auto layers = client_->ListAllLayers();
  ASSERT_TRUE(layers.ok()) << layers.status();
  ASSERT_EQ(layers->size(), 3);
  EXPECT_EQ(layers->back().name, "tiny/2");
}

TEST_F(ClientLayersTest, LayersAreLoadedAndUnloaded) {
  EXPECT_EQ(client_->LoadLayer("tiny/9", WeightFormat::kInt8)->weights,
            WeightFormat::kInt8);
  EXPECT_EQ(client_->GetLayer("tiny/9")->name, "tiny/9");
  EXPECT_TRUE(client_->UnloadLayer("tiny/9").ok());
  EXPECT_EQ(client_->UnloadLayer("tiny/9").code(), absl::StatusCode::kNotFound);
}

// A second attempt would find the layer loaded, or gone.
TEST_F(ClientLayersTest, LoadAndUnloadAreNotRetried) {
  server_.ExpectLayerCalls({{kUnavailable}});
  EXPECT_FALSE(client_->LoadLayer("tiny/9").ok());
  server_.ExpectLayerCalls({{kUnavailable}});
  EXPECT_FALSE(client_->UnloadLayer("tiny/0").ok());
  server_.ExpectLayerCalls({{kUnavailable}});
  EXPECT_TRUE(client_->GetLayer("tiny/0").ok());
  EXPECT_THAT(server_.layer_calls(), ElementsAre("LoadLayer -", "UnloadLayer -",
                                                 "GetLayer -", "GetLayer -"));
}

// "attnctl layer `line`": exit code and what it prints.
class LayerCommandTest : public ClientLayersTest {
 protected:
  int Run(const std::string& line) {
    CLI::App app;
    attnctl::GlobalOptions globals;
    globals.address = server_.address();
    attnctl::Action action;
    attnctl::AddLayerCommand(app, globals, action);
    app.parse("layer " + line);
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int exit_code = action();
    out_ = ::testing::internal::GetCapturedStdout();
    err_ = ::testing::internal::GetCapturedStderr();
    return exit_code;
  }

  std::string out_, err_;
};

TEST_F(LayerCommandTest, ListAndShowPrintLayers) {
  EXPECT_EQ(Run("list"), attnctl::kExitOk);
  EXPECT_THAT(out_, HasSubstr("\ntiny/2 "));
  EXPECT_EQ(Run("list --json"), attnctl::kExitOk);
  EXPECT_THAT(out_, HasSubstr("\"name\": \"tiny/2\""));
  EXPECT_EQ(Run("show tiny/1"), attnctl::kExitOk);
  EXPECT_THAT(out_, HasSubstr("layer          tiny/1\n"));
  EXPECT_EQ(Run("show tiny/7"), attnctl::kExitFailed);
  EXPECT_THAT(err_, HasSubstr("no layer tiny/7"));
}

TEST_F(LayerCommandTest, ForwardWritesTheOutput) {
  const std::string in = ::testing::TempDir() + "/layer_command_in.npy";
  const std::string out = ::testing::TempDir() + "/layer_command_out.npy";
  ASSERT_TRUE(attnctl::WriteNpy(in, Request().hidden).ok());
  EXPECT_EQ(Run("forward tiny/0 --session s --expected-length 3 --hidden " +
                in + " --out " + out),
            attnctl::kExitOk);
  EXPECT_THAT(out_, HasSubstr("output f32 [1, 2, 4]"));
  EXPECT_THAT(out_, HasSubstr("session length 4\n"));
  EXPECT_EQ(attnctl::ReadNpy(out)->bytes(), Request().hidden.bytes());
  EXPECT_EQ(Run("forward tiny/0 --json --hidden " + in), attnctl::kExitOk);
  EXPECT_THAT(out_, HasSubstr("\"output_shape\": [1, 2, 4]"));
  EXPECT_EQ(Run("forward no/0 --hidden " + in), attnctl::kExitFailed);
  EXPECT_EQ(Run("forward tiny/0 --hidden /no/such"), attnctl::kExitUsage);
}

TEST_F(LayerCommandTest, LoadAndUnload) {
  EXPECT_EQ(Run("load tiny/5 --weights f16"), attnctl::kExitOk);
  EXPECT_THAT(out_, HasSubstr("weights        f16"));
  EXPECT_EQ(Run("unload no/1 tiny/5"), attnctl::kExitFailed);
  EXPECT_EQ(Run("show tiny/5"), attnctl::kExitFailed);
}

}  // namespace
}  // namespace attn::client
