#include "server/health_service.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <sstream>
#include <thread>

#include "server/healthcheck.h"
#include "tests/unit/server/exposition.h"

namespace attn {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Optional;

constexpr char kWatch[] =
    "grpc_method=\"Watch\",grpc_service=\"grpc.health.v1.Health\","
    "grpc_type=\"server_stream\"}";

// One open Watch stream of a client.
struct Watcher {
  Watcher(Health::Stub& stub, const std::string& name) {
    HealthCheckRequest request;
    request.set_service(name);
    context.set_deadline(std::chrono::system_clock::now() + seconds(30));
    reader = stub.Watch(&context, request);
  }

  // The next status; UNKNOWN when the stream is over.
  HealthCheckResponse::ServingStatus Next() {
    HealthCheckResponse response;
    return reader->Read(&response) ? response.status()
                                   : HealthCheckResponse::UNKNOWN;
  }

  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader;
};

class HealthServiceTest : public testing::Test {
 protected:
  HealthServiceTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
    stub_ = Health::NewStub(
        grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
  }

  ~HealthServiceTest() override { server_->Shutdown(); }

  grpc::Status Check(const std::string& name, HealthCheckResponse& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(30));
    HealthCheckRequest request;
    request.set_service(name);
    return stub_->Check(&context, request, &response);
  }

  HealthCheckResponse::ServingStatus StatusOf(const std::string& name) {
    HealthCheckResponse response;
    EXPECT_TRUE(Check(name, response).ok()) << name;
    return response.status();
  }

  std::optional<double> Sample(const std::string& series) {
    return SampleOf(metrics_.Render(), series);
  }

  SteadyClock clock_;
  PrometheusMetrics metrics_{{}};
  HealthService service_{metrics_, clock_};
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::unique_ptr<Health::Stub> stub_;
};

TEST_F(HealthServiceTest, EveryNameButLivenessFollowsTheServer) {
  for (const bool serving : {false, true, false}) {
    service_.SetServing(serving);
    for (const char* name :
         {"", "readiness", "attn.v1.AttentionService", "attn.v1.SessionService",
          "attn.v1.LayerService", "inference.GRPCInferenceService"}) {
      EXPECT_EQ(StatusOf(name) == HealthCheckResponse::SERVING, serving)
          << name;
    }
    EXPECT_EQ(StatusOf("liveness"), HealthCheckResponse::SERVING);
  }
}

TEST_F(HealthServiceTest, CheckOfAnUnknownNameIsNotFound) {
  HealthCheckResponse response;
  EXPECT_EQ(Check("attn.v1.Other", response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(HealthServiceTest, WatchSendsTheStatusNowAndAtEachChange) {
  Watcher watcher(*stub_, "readiness");
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::NOT_SERVING);
  service_.SetServing(true);
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::SERVING);
  service_.SetServing(true);
  service_.SetServing(false);
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::NOT_SERVING);
}

TEST_F(HealthServiceTest, WatchOfAnUnknownNameStaysOpen) {
  Watcher watcher(*stub_, "other");
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::SERVICE_UNKNOWN);
  service_.EndWatches();
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::UNKNOWN);
}

TEST_F(HealthServiceTest, EndWatchesSendsWhatIsDueAndEndsTheStreams) {
  service_.SetServing(true);
  Watcher first(*stub_, "");
  Watcher second(*stub_, "liveness");
  EXPECT_EQ(first.Next(), HealthCheckResponse::SERVING);
  EXPECT_EQ(second.Next(), HealthCheckResponse::SERVING);
  service_.SetServing(false);
  service_.EndWatches();
  EXPECT_EQ(first.Next(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(first.Next(), HealthCheckResponse::UNKNOWN);
  EXPECT_EQ(second.Next(), HealthCheckResponse::UNKNOWN);
  EXPECT_EQ(first.reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(HealthServiceTest, ShutdownDoesNotWaitForEndedWatches) {
  Watcher watcher(*stub_, "");
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::NOT_SERVING);
  service_.EndWatches();
  // Without a deadline: hangs if a stream is still open.
  server_->Shutdown();
  EXPECT_THAT(Sample(std::string("grpc_server_handled_total{grpc_code="
                                 "\"Unavailable\",") +
                     kWatch),
              Optional(1));
}

TEST_F(HealthServiceTest, CancelledWatchIsCounted) {
  Watcher watcher(*stub_, "");
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::NOT_SERVING);
  watcher.context.TryCancel();
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::UNKNOWN);
  // Returns when the server has seen it too.
  server_->Shutdown();
  EXPECT_THAT(Sample(std::string("grpc_server_handled_total{grpc_code="
                                 "\"Cancelled\",") +
                     kWatch),
              Optional(1));
}

TEST_F(HealthServiceTest, SurvivesCancelsAmidChanges) {
  std::thread changes([this] {
    for (int i = 0; i < 500; ++i) service_.SetServing(i % 2 == 0);
  });
  for (int i = 0; i < 100; ++i) {
    Watcher watcher(*stub_, "");
    if (i % 2 == 0) watcher.Next();
    watcher.context.TryCancel();
  }
  changes.join();
  service_.EndWatches();
  server_->Shutdown();
  const auto started =
      Sample(std::string("grpc_server_started_total{") + kWatch);
  EXPECT_THAT(started, Optional(testing::Gt(0)));
  EXPECT_EQ(Sample(std::string("grpc_server_handling_seconds_count{") + kWatch),
            started);
}

TEST_F(HealthServiceTest, HealthcheckTellsByItsExitCode) {
  service_.SetServing(true);
  std::ostringstream out;
  EXPECT_EQ(RunHealthcheck({address_, seconds(30)}, out), 0);
  EXPECT_EQ(out.str(), address_ + " is SERVING\n");
  service_.SetServing(false);
  out.str("");
  EXPECT_EQ(RunHealthcheck({address_, seconds(30)}, out), 1);
  EXPECT_EQ(out.str(), address_ + " is NOT_SERVING\n");
}

TEST_F(HealthServiceTest, HealthcheckFailsWhereNobodyAnswers) {
  std::ostringstream out;
  EXPECT_EQ(RunHealthcheck({"unix:/nowhere.sock", seconds(30)}, out), 1);
  EXPECT_THAT(out.str(), HasSubstr("unix:/nowhere.sock does not answer: "));
}

}  // namespace
}  // namespace attn
