#include "server/forward_flow.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "attn/v1/layer.pb.h"
#include "core/base/error.h"
#include "gtest/gtest.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/server/fragmented_message.h"

namespace attn::test {
namespace {

using std::chrono::seconds;

// Of 64 tokens of two heads of 8 channels.
constexpr int64_t kPageBytes = int64_t{64} * 2 * (8 + 8) * sizeof(float);

class ForwardFlowTest : public testing::Test {
 protected:
  ForwardFlowTest() {
    WriteCheckpoint({}, folder_.At("llama"));
    const auto layer = layers_.Load("llama/0");
    EXPECT_TRUE(layer.ok()) << layer.status();
  }

  // A row of zeros on session "s", to be answered within a second.
  DecodedForward OneRow() {
    DecodedForward decoded =
        DecodeForward({message_.bytes()}, message_.bytes().whole());
    decoded.session = {.session_id = "s"};
    decoded.timeout = seconds(1);
    return decoded;
  }
  DecodedForward Start() {
    DecodedForward decoded = OneRow();
    decoded.session->start = KvSpec{.num_layers = 1};
    return decoded;
  }

  // How a request ends that waits so long before its turn comes.
  absl::StatusCode EndOf(DecodedForward decoded, Duration wait = {}) {
    absl::Status status;
    absl::Notification is_done;
    ForwardLanes lanes;
    const auto flow = std::make_shared<RequestFlow>(
        context_,
        RequestFlow::Arrival{.tenant = tenant_, .received = clock_.Now()});
    RunReceived(
        *flow, layers_,
        {.bytes = message_.bytes(),
         .decoded = std::move(decoded),
         .start = clock_.Now()},
        [&](const ForwardOutcome& outcome) {
          status = outcome.status;
          is_done.Notify();
        },
        &lanes);
    clock_.Advance(wait);
    lanes.Submit();
    is_done.WaitForNotification();
    return status.code();
  }

  static std::string OneRowMessage() {
    v1::ForwardRequest request;
    request.set_layer("llama/0");
    v1::Tensor& hidden = *request.mutable_hidden();
    hidden.set_dtype(v1::DATA_TYPE_F32);
    for (const int64_t dim : {1, 1, 32}) hidden.add_shape(dim);
    hidden.set_data(std::string(32 * sizeof(float), '\0'));
    return request.SerializeAsString();
  }

  // Of session "s".
  int64_t Length() {
    const auto session = sessions_.Look(tenant_, "s");
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? (*session)->Lock(0)->length() : -1;
  }

  TemporaryFolder folder_;
  FakeClock clock_;
  PrometheusMetrics metrics_{{}};
  Log log_{LogLevel::kOff, LogFormat::kText};
  FailureLog failure_log_{log_, clock_};
  PagePool pool_{int64_t{1} << 20};
  SessionStore sessions_{{}, {pool_, clock_, metrics_, [] { return 7; }}};
  Tenant tenant_{"", 0, {}};
  LayerStore layers_{{.folder = folder_.path()}};
  Engine engine_{{}, MakePortableTileGemm(), clock_, metrics_};
  const AttendContext context_{.engine = engine_,
                               .clock = clock_,
                               .metrics = metrics_,
                               .log = log_,
                               .failure_log = failure_log_,
                               .sessions = sessions_,
                               .limits = {}};
  FragmentedMessage message_{OneRowMessage()};
};

TEST_F(ForwardFlowTest, AStartMakesASessionForTheLayer) {
  ASSERT_EQ(EndOf(Start()), absl::StatusCode::kOk);
  EXPECT_EQ(Length(), 1);
  const auto session = sessions_.Look(tenant_, "s");
  EXPECT_EQ((*session)->spec().num_kv_heads, 2);
  EXPECT_EQ((*session)->spec().head_dim, 8);
  EXPECT_EQ((*session)->spec().value_head_dim, 8);
}

TEST_F(ForwardFlowTest, AStartThatFailsWhenItsTurnComesLeavesNoSession) {
  EXPECT_EQ(EndOf(Start(), seconds(2)), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(sessions_.Look(tenant_, "s").status()),
            Reason::kSessionDeleted);
}

TEST_F(ForwardFlowTest, AnEndThatFailsWhenItsTurnComesLeavesTheSession) {
  EXPECT_EQ(EndOf(Start()), absl::StatusCode::kOk);
  DecodedForward end = OneRow();
  end.session->ends = true;
  EXPECT_EQ(EndOf(end, seconds(2)), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Length(), 1);
  EXPECT_EQ(EndOf(end), absl::StatusCode::kOk);
  EXPECT_EQ(sessions_.size(), 0);
}

TEST_F(ForwardFlowTest, AStartWithoutMemoryLeavesTheLivingSession) {
  EXPECT_EQ(EndOf(Start()), absl::StatusCode::kOk);
  std::vector<PageRef> others;
  for (auto page = pool_.Allocate(kPageBytes); page.ok();
       page = pool_.Allocate(kPageBytes)) {
    others.push_back(*std::move(page));
  }
  EXPECT_EQ(EndOf(Start()), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Length(), 1);
}

}  // namespace
}  // namespace attn::test
