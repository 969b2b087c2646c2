#include "server/rpc_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"
#include "tests/unit/server/exposition.h"

namespace attn {
namespace {

using std::chrono::milliseconds;
using testing::Optional;

constexpr char kAttend[] =
    "grpc_method=\"Attend\",grpc_service=\"attn.v1.AttentionService\","
    "grpc_type=\"unary\"}";

class RpcRecorderTest : public testing::Test {
 protected:
  std::optional<double> Sample(const std::string& series) const {
    return SampleOf(metrics_.Render(), series);
  }
  std::optional<double> Handled(const std::string& code) const {
    return Sample("grpc_server_handled_total{grpc_code=\"" + code + "\"," +
                  kAttend);
  }

  FakeClock clock_;
  PrometheusMetrics metrics_{{}};
};

TEST_F(RpcRecorderTest, CountsTheStartAtOnce) {
  RpcRecorder recorder(metrics_, RpcMethod::kAttend, clock_);
  EXPECT_THAT(Sample(std::string("grpc_server_started_total{") + kAttend),
              Optional(1));
  EXPECT_THAT(Handled("Unknown"), Optional(0));
}

TEST_F(RpcRecorderTest, CountsCodeAndTimeOnce) {
  {
    RpcRecorder recorder(metrics_, RpcMethod::kAttend, clock_);
    clock_.Advance(milliseconds(3));
    recorder.Finish(8);
    clock_.Advance(milliseconds(3));
    recorder.Finish(0);
  }
  EXPECT_THAT(Handled("ResourceExhausted"), Optional(1));
  EXPECT_THAT(Handled("OK"), Optional(0));
  EXPECT_THAT(Handled("Unknown"), Optional(0));
  EXPECT_THAT(
      Sample(std::string("grpc_server_handling_seconds_sum{") + kAttend),
      Optional(0.003));
}

TEST_F(RpcRecorderTest, ForgottenCallEndsAsUnknown) {
  { RpcRecorder recorder(metrics_, RpcMethod::kAttend, clock_); }
  EXPECT_THAT(Handled("Unknown"), Optional(1));
}

TEST_F(RpcRecorderTest, ByteHistogramsCountCallsNotMessages) {
  RpcRecorder recorder(metrics_, RpcMethod::kAttendStream, clock_);
  recorder.AddRequestBytes(100);
  recorder.AddRequestBytes(50);
  recorder.AddResponseBytes(7);
  recorder.Finish(0);
  EXPECT_THAT(Sample("attn_request_bytes_count"), Optional(1));
  EXPECT_THAT(Sample("attn_request_bytes_sum"), Optional(150));
  EXPECT_THAT(Sample("attn_response_bytes_sum"), Optional(7));
}

TEST_F(RpcRecorderTest, CallsWithoutTensorsHaveNoBytes) {
  RpcRecorder(metrics_, RpcMethod::kHealthCheck, clock_).Finish(0);
  EXPECT_THAT(Sample("attn_request_bytes_count"), Optional(0));
}

TEST_F(RpcRecorderTest, ObservesSendTimes) {
  RpcRecorder recorder(metrics_, RpcMethod::kAttend, clock_);
  recorder.ObserveSend(milliseconds(7));
  EXPECT_THAT(Sample("attn_send_seconds_sum"), Optional(0.007));
}

}  // namespace
}  // namespace attn
