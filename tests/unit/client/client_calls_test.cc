// The client against a server in the same process (fake_server.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "client/cpp/attnctl/load_generator.h"
#include "client/cpp/attnctl/sender.h"
#include "client/cpp/client.h"
#include "client/cpp/error_details.h"
#include "tests/unit/client/fake_server.h"

namespace attn::client {
namespace {

using ::testing::ElementsAre;

constexpr int kCancelled = 1;
constexpr int kResourceExhausted = 8;
constexpr int kUnavailable = 14;

class ClientCallsTest : public ::testing::Test {
 protected:
  std::unique_ptr<Client> Connect(int64_t retry_buffer_bytes = 0) {
    ClientOptions options;
    options.address = server_.address();
    options.retry.buffer_bytes = retry_buffer_bytes;
    options.retry.initial_backoff = absl::Milliseconds(10);
    return Client::Create(options).value();
  }

  // A query of `bytes` bytes that differ.
  static AttendRequest Request(size_t bytes, std::string id = "r") {
    std::string data(bytes, '\0');
    for (size_t i = 0; i < bytes; ++i) {
      data[i] = static_cast<char>(i * 31 + i / 251);
    }
    AttendRequest request;
    request.request_id = std::move(id);
    request.query = Tensor::Own(DType::kF32, {static_cast<int64_t>(bytes / 4)},
                                std::move(data));
    return request;
  }

  static constexpr size_t kEightMiB = size_t{8} << 20;
  FakeServer server_;
};

TEST_F(ClientCallsTest, TensorsComeBackAsTheyWereSent) {
  const auto client = Connect();
  for (const size_t bytes :
       {size_t{0}, size_t{4}, size_t{100'000}, kEightMiB}) {
    const AttendRequest request = Request(bytes);
    const auto response = client->Attend(request);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->request_id, "r");
    EXPECT_EQ(response->output.shape(), request.query.shape());
    EXPECT_TRUE(response->output.bytes() == request.query.bytes()) << bytes;
  }
}

TEST_F(ClientCallsTest, EightMiBRequestIsRetriedAfterUnavailable) {
  server_.Expect({{kUnavailable}, {kUnavailable}});
  const AttendRequest request = Request(kEightMiB);
  const auto response = Connect()->Attend(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_TRUE(response->output.bytes() == request.query.bytes());
  EXPECT_EQ(server_.attend_calls(), 3);
}

// What the large default of the retry buffer is for.
TEST_F(ClientCallsTest, RequestBeyondTheRetryBufferIsSentOnce) {
  server_.Expect({{kUnavailable}});
  const auto response = Connect(262'144)->Attend(Request(kEightMiB));
  EXPECT_EQ(response.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server_.attend_calls(), 1);
}

TEST_F(ClientCallsTest, PushbackIsWaitedFor) {
  server_.Expect({{kResourceExhausted, "300"}});
  const absl::Time start = absl::Now();
  const auto response = Connect()->Attend(Request(4));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(300));
  EXPECT_EQ(server_.attend_calls(), 2);
}

TEST_F(ClientCallsTest, NegativePushbackEndsTheRetries) {
  server_.Expect({{kResourceExhausted, "-1"}});
  const auto response = Connect()->Attend(Request(4));
  EXPECT_EQ(response.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(server_.attend_calls(), 1);
}

TEST_F(ClientCallsTest, AppendIsRetriedOnlyWithExpectedLength) {
  AttendRequest request = Request(4);
  request.key = Tensor::FromFloats({1}, {1, 1, 1, 1}).value();
  request.session = {.session_id = "s1"};
  server_.Expect({{kUnavailable}});
  const auto client = Connect();
  ASSERT_TRUE(client->CreateSession({.head_dim = 1}, "s1").ok());
  EXPECT_FALSE(client->Attend(request).ok());
  EXPECT_EQ(server_.attend_calls(), 1);
  request.session->expected_length = 0;
  server_.Expect({{kUnavailable}});
  EXPECT_TRUE(client->Attend(request).ok());
  EXPECT_EQ(server_.attend_calls(), 3);
  EXPECT_THAT(server_.session_keys(), ElementsAre("s1", "s1", "s1"));
}

TEST_F(ClientCallsTest, DeadlineOfTheCallEndsIt) {
  server_.Expect({{kCancelled, "", "", true}});
  const auto response =
      Connect()->Attend(Request(4), {.deadline = absl::Milliseconds(50)});
  EXPECT_EQ(response.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ClientCallsTest, HandleCancelsAnAsynchronousCall) {
  server_.Expect({{kCancelled, "", "", true}});
  const auto client = Connect();
  absl::Notification done;
  absl::Status outcome;
  const CallHandle handle = client->AttendAsync(
      Request(4), [&](const absl::StatusOr<AttendResponse>& response) {
        outcome = response.status();
        done.Notify();
      });
  handle.Cancel();
  done.WaitForNotification();
  EXPECT_EQ(outcome.code(), absl::StatusCode::kCancelled);
  handle.Cancel();  // Without effect.
}

TEST_F(ClientCallsTest, DestroyedClientCancelsItsCallsAndWaitsForThem) {
  server_.Expect({{kCancelled, "", "", true}, {kCancelled, "", "", true}});
  auto client = Connect();
  std::atomic<int> ended = 0;
  for (int i = 0; i < 2; ++i) {
    client->AttendAsync(Request(4), [&ended](const auto&) { ++ended; });
  }
  client.reset();
  EXPECT_EQ(ended, 2);
}

TEST_F(ClientCallsTest, BatchItemsFailForThemselves) {
  const AttendRequest requests[] = {Request(100'000, "a"), Request(4, "bad"),
                                    Request(4, "c")};
  const auto results = Connect()->AttendBatch(requests);
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_EQ(results->size(), 3);
  EXPECT_TRUE((*results)[0].status.ok());
  EXPECT_EQ((*results)[1].status, absl::InvalidArgumentError("as told"));
  EXPECT_EQ((*results)[1].response.request_id, "bad");
  EXPECT_TRUE((*results)[0].response.output.bytes() ==
              requests[0].query.bytes());
}

TEST_F(ClientCallsTest, StreamGivesAResultForEachRequest) {
  const auto client = Connect();
  const auto stream = client->OpenStream();
  EXPECT_TRUE(stream->Write(Request(100'000, "a")));
  EXPECT_TRUE(stream->Write(Request(4, "bad")));
  stream->WritesDone();
  EXPECT_EQ(stream->Read()->response.request_id, "a");
  EXPECT_FALSE(stream->Read()->status.ok());
  EXPECT_FALSE(stream->Read().has_value());
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ClientCallsTest, CancelledStreamEndsWithCancelled) {
  const auto client = Connect();
  const auto stream = client->OpenStream();
  stream->Cancel();
  EXPECT_FALSE(stream->Read().has_value());
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
}

TEST_F(ClientCallsTest, UnfinishedStreamCanBeDestroyed) {
  const auto client = Connect();
  const auto stream = client->OpenStream();
  EXPECT_TRUE(stream->Write(Request(4)));
}

TEST_F(ClientCallsTest, HealthIsCheckedAndWatched) {
  const auto client = Connect();
  EXPECT_EQ(client->CheckHealth().value(), Health::kServing);
  EXPECT_EQ(client->CheckHealth("unknown").status().code(),
            absl::StatusCode::kNotFound);
  std::vector<Health> seen;
  EXPECT_TRUE(client
                  ->WatchHealth("",
                                [&seen](Health health) {
                                  seen.push_back(health);
                                  return true;
                                })
                  .ok());
  EXPECT_THAT(seen, ElementsAre(Health::kServing, Health::kNotServing));
  EXPECT_TRUE(client->WatchHealth("", [](Health) { return false; }).ok());
}

// How long a client that failed to connect takes to reach a server that has
// come up since.
absl::Duration ReconnectTime() {
  auto server = std::make_unique<FakeServer>();
  ClientOptions options;
  options.address = server->address();
  options.retry.max_attempts = 1;
  const int port = server->port();
  server.reset();
  const auto client = Client::Create(options).value();
  EXPECT_EQ(client->CheckHealth().status().code(),
            absl::StatusCode::kUnavailable);
  server = std::make_unique<FakeServer>(port);
  const absl::Time start = absl::Now();
  EXPECT_TRUE(client->CheckHealth("", {.wait_for_ready = true}).ok());
  return absl::Now() - start;
}

// gRPC's default would make it 0.8 s at least. The best of five, for machines
// that are busy with something else.
TEST(ReconnectTest, FailedConnectIsRepeatedWellWithinASecond) {
  absl::Duration shortest = absl::InfiniteDuration();
  for (int i = 0; i < 5 && shortest > absl::Milliseconds(500); ++i) {
    shortest = std::min(shortest, ReconnectTime());
  }
  EXPECT_LT(shortest, absl::Milliseconds(500));
}

TEST_F(ClientCallsTest, BadOptionsAreRefused) {
  EXPECT_FALSE(Client::Create({.address = ""}).ok());
  EXPECT_FALSE(Client::Create({.max_message_bytes = 0}).ok());
  EXPECT_FALSE(Client::Create({.retry = {.max_attempts = 9}}).ok());
  EXPECT_FALSE(Client::Create({.tls = TlsOptions{.private_key = "x"}}).ok());
}

TEST_F(ClientCallsTest, TokenIsAskedForAtEachCall) {
  int num_asked = 0;
  const auto client = Client::Create({.address = server_.address(),
                                      .token =
                                          [&num_asked] {
                                            ++num_asked;
                                            return std::string("token");
                                          }})
                          .value();
  EXPECT_TRUE(client->Attend(Request(4)).ok());
  EXPECT_TRUE(client->CheckHealth().ok());
  EXPECT_EQ(num_asked, 2);
}

// The real clock, never stopped.
class RealClock : public attnctl::LoadClock {
 public:
  absl::Time Now() override { return absl::Now(); }
  void SleepUntil(absl::Time time) override {
    absl::SleepFor(time - absl::Now());
  }
  bool stopped() override { return false; }
};

TEST_F(ClientCallsTest, EverySenderAnswersEveryRequest) {
  const auto client = Connect();
  const auto source =
      attnctl::ProblemSource::Create({.kv_len = {1, 64}, .head_dim = 4}, 1);
  attnctl::LoadPlan plan;
  plan.concurrency = 4;
  plan.items_per_send = 3;
  plan.max_requests = 100;
  plan.duration = absl::InfiniteDuration();
  for (auto* make : {attnctl::MakeUnarySender, attnctl::MakeBatchSender,
                     attnctl::MakeStreamSender}) {
    attnctl::LoadRecord record(5);
    RealClock clock;
    const auto sender = make(*client);
    attnctl::RunClosedLoop(plan, {*source, *sender, record, clock});
    EXPECT_EQ(record.completed(), 100);
    EXPECT_EQ(record.failed(), 0);
    EXPECT_EQ(record.Copy().fingerprints.size(), 5);
  }
}

}  // namespace
}  // namespace attn::client
