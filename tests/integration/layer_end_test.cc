// Forwards that end before their time, because the client leaves, the deadline
// passes or the server drains: the right codes, books that balance, and
// sessions that are as long as their answers say.
#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/layer_fixture.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

using absl::StatusCode;
using testing::AnyOf;
using testing::Eq;

// A page of the sessions: 64 tokens, keys and values of 2 heads of 8 floats.
constexpr int64_t kPageBytes = 64 * 2 * 2 * 8 * 4;

int64_t PageBytesOf(int64_t length) { return (length + 63) / 64 * kPageBytes; }

class LayerEndTest : public testing::Test {
 protected:
  // One worker, so that what waits does wait; however slow the machine is,
  // nothing is refused.
  void Start(std::vector<std::string> flags = {}) {
    flags.insert(flags.end(), {"--workers", "1", "--max-queue-wait", "10m"});
    server_.Start(flags);
  }
  // Takes the worker half a second.
  v1::ForwardRequest LongRequest() {
    return server_.Request(Scaled(16384, 8192), 1);
  }
  v1::ForwardRequest OnSession(v1::ForwardRequest request,
                               const std::string& id, int64_t length) {
    request.mutable_session()->set_session_id(id);
    request.mutable_session()->set_expected_length(
        static_cast<uint64_t>(length));
    return request;
  }
  // `num_items` requests one after another on a session.
  v1::ForwardBatchRequest Lane(const std::string& id, int num_items,
                               int64_t rows) {
    v1::ForwardBatchRequest batch;
    for (int i = 0; i < num_items; ++i) {
      *batch.add_requests() = OnSession(
          server_.Request(rows, static_cast<uint64_t>(i)), id, i * rows);
    }
    return batch;
  }

  static int64_t KvBytesIn(const attnctl::MetricSet& metrics) {
    return static_cast<int64_t>(metrics.Sum("attn_kv_bytes"));
  }
  int64_t KvBytes() { return KvBytesIn(server_.process().Metrics()); }
  // Waits for the append of so many tokens.
  void AwaitTokens(int64_t tokens) {
    server_.AwaitMetrics([tokens](const attnctl::MetricSet& metrics) {
      return KvBytesIn(metrics) >= PageBytesOf(tokens);
    });
  }

  // Of so many tasks, all of which have ended.
  static void ExpectBooksBalance(const attnctl::MetricSet& metrics, int tasks) {
    EXPECT_EQ(metrics.Sum("attn_admitted_tasks_total"), tasks);
    EXPECT_EQ(metrics.Sum("attn_tasks_total"), tasks);
    EXPECT_EQ(metrics.Sum("attn_queue_depth"), 0);
    EXPECT_EQ(metrics.Sum("attn_queue_bytes"), 0);
    EXPECT_EQ(metrics.Sum("attn_inflight_bytes"), 0);
  }

  LayerServer server_;
};

TEST_F(LayerEndTest, WhatIsCancelledBeforeItsTurnHasAppendedNothing) {
  Start();
  server_.MakeSession("s");
  const auto running = server_.BeginForward(LongRequest());
  // Its projection is the first batch, its attention the second.
  server_.AwaitMetrics([](const attnctl::MetricSet& metrics) {
    return metrics.Sum("attn_batches_total") >= 2;
  });
  const auto waiting =
      server_.BeginForward(OnSession(server_.Request(5, 1), "s", 0));
  server_.AwaitAdmitted(2);
  waiting->Cancel();
  EXPECT_EQ(waiting->Wait().status().code(), StatusCode::kCancelled);
  EXPECT_TRUE(running->Wait().ok()) << running->Wait().status();
  const attnctl::MetricSet metrics = server_.AwaitEnded(2);
  ExpectBooksBalance(metrics, 2);
  EXPECT_EQ(metrics.Sum("attn_tasks_total", {{"outcome", "cancelled"}}), 1);
  EXPECT_EQ(server_.LengthOf("s"), 0);
  EXPECT_EQ(KvBytesIn(metrics), 0);
}

TEST_F(LayerEndTest, WhatIsCancelledAfterItsAppendIsAnsweredWhenSentAgain) {
  Start();
  server_.MakeSession("s");
  const v1::ForwardRequest request = OnSession(LongRequest(), "s", 0);
  const int64_t rows = request.hidden().shape(1);
  const auto cancelled = server_.BeginForward(request);
  AwaitTokens(1);
  cancelled->Cancel();
  EXPECT_EQ(cancelled->Wait().status().code(), StatusCode::kCancelled);
  ExpectBooksBalance(server_.AwaitEnded(1), 1);
  EXPECT_EQ(server_.LengthOf("s"), rows);
  EXPECT_EQ(KvBytes(), PageBytesOf(rows));
  const auto again = server_.Forward(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->session_length(), static_cast<uint64_t>(rows));
  EXPECT_EQ(again->output().data(),
            server_.Forward(LongRequest())->output().data());
  EXPECT_TRUE(server_.process().NewClient()->DeleteSession("s").ok());
  ExpectBooksBalance(server_.AwaitEnded(3), 3);
  EXPECT_EQ(KvBytes(), 0);
}

TEST_F(LayerEndTest, ADeadlineThatPassesEndsIt) {
  Start();
  server_.MakeSession("s");
  const int64_t rows = 32768;  // 2 s.
  const v1::ForwardRequest request =
      OnSession(server_.Request(rows, 2), "s", 0);
  client::CallSettings settings;
  settings.deadline = absl::Now() + absl::Milliseconds(500);
  const auto late = server_.BeginForward(request, settings);
  EXPECT_EQ(late->Wait().status().code(), StatusCode::kDeadlineExceeded);
  const attnctl::MetricSet metrics = server_.AwaitEnded(1);
  ExpectBooksBalance(metrics, 1);
  // The client's clock may be the first to say so.
  EXPECT_EQ(metrics.Sum("attn_tasks_total", {{"outcome", "expired"}}) +
                metrics.Sum("attn_tasks_total", {{"outcome", "cancelled"}}),
            1);
  EXPECT_THAT(server_.LengthOf("s"), AnyOf(Eq(0), Eq(rows)));
  EXPECT_EQ(KvBytes(), PageBytesOf(server_.LengthOf("s")));
}

TEST_F(LayerEndTest, ACancelledBatchStopsBetweenItsRequests) {
  Start();
  server_.MakeSession("s");
  constexpr int kItems = 40;
  const int64_t rows = Scaled(1024, 256);
  const auto batch = server_.BeginForwardBatch(Lane("s", kItems, rows));
  AwaitTokens(3 * rows);
  batch->Cancel();
  EXPECT_EQ(batch->Wait().status().code(), StatusCode::kCancelled);
  const attnctl::MetricSet metrics = server_.AwaitEnded(kItems);
  ExpectBooksBalance(metrics, kItems);
  EXPECT_GE(metrics.Sum("attn_tasks_total", {{"outcome", "completed"}}), 2);
  EXPECT_GE(metrics.Sum("attn_tasks_total", {{"outcome", "cancelled"}}),
            kItems / 4);
  const int64_t length = server_.LengthOf("s");
  EXPECT_GE(length, 3 * rows);
  EXPECT_EQ(length % rows, 0);
  EXPECT_EQ(KvBytes(), PageBytesOf(length));
}

// A client that takes one step after another until the server drains.
class SteppingClient {
 public:
  SteppingClient(LayerServer& server, int index)
      : server_(server), index_(index), id_("c" + std::to_string(index)) {
    server_.MakeSession(id_);
  }

  // `answered` counts; `drains`: whether UNAVAILABLE is an end.
  void Run(std::atomic<int>& answered, const std::atomic<bool>& drains) {
    v1::ForwardRequest request =
        server_.Request(1 + index_, static_cast<uint64_t>(index_));
    request.mutable_session()->set_session_id(id_);
    for (;;) {
      request.mutable_session()->set_expected_length(
          static_cast<uint64_t>(length_));
      const auto response = server_.Forward(request);
      if (!response.ok()) {
        EXPECT_TRUE(drains) << response.status();
        EXPECT_EQ(response.status().code(), StatusCode::kUnavailable)
            << response.status();
        return;
      }
      length_ += 1 + index_;
      ++answered_;
      ++answered;
      EXPECT_EQ(response->session_length(), static_cast<uint64_t>(length_));
    }
  }

  int64_t length() const { return length_; }
  int num_answered() const { return answered_; }

 private:
  LayerServer& server_;
  const int index_;
  const std::string id_;
  int64_t length_ = 0;
  int answered_ = 0;
};

TEST_F(LayerEndTest, ADrainFinishesWhatWasAccepted) {
  constexpr int kClients = 8;
  constexpr int kItems = 40;
  const int64_t rows = Scaled(512, 128);
  Start({"--drain-delay", "0", "--drain-timeout", "60s"});
  server_.MakeSession("lane");
  // Holds the server up, so that its books can be read when all is done.
  const auto stream = server_.transport().OpenStream(
      "/attn.v1.AttentionService/AttendStream", {});
  std::vector<std::unique_ptr<SteppingClient>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<SteppingClient>(server_, i));
  }
  std::atomic<int> answered{0};
  std::atomic<bool> drains{false};
  std::vector<std::thread> threads;
  for (const auto& client : clients) {
    threads.emplace_back([&] { client->Run(answered, drains); });
  }
  while (answered < 3 * kClients) absl::SleepFor(absl::Milliseconds(1));
  const auto batch = server_.BeginForwardBatch(Lane("lane", kItems, rows));
  while (server_.LengthOf("lane") < 3 * rows) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  drains = true;
  server_.process().Signal(SIGTERM);
  for (std::thread& thread : threads) thread.join();
  const auto results = batch->Wait();
  ASSERT_TRUE(results.ok()) << results.status();
  for (const v1::ForwardResult& result : results->results()) {
    EXPECT_EQ(result.status().code(), 0) << result.status().message();
  }

  int num_tasks = kItems;
  int64_t kv_bytes = PageBytesOf(kItems * rows);
  for (const auto& client : clients) {
    num_tasks += client->num_answered();
    kv_bytes += PageBytesOf(client->length());
  }
  const attnctl::MetricSet metrics = server_.AwaitEnded(num_tasks);
  EXPECT_EQ(metrics.Sum("attn_draining"), 1);
  ExpectBooksBalance(metrics, num_tasks);
  EXPECT_EQ(metrics.Sum("attn_tasks_total", {{"outcome", "completed"}}),
            num_tasks);
  EXPECT_EQ(KvBytesIn(metrics), kv_bytes);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(server_.process().Wait(), 0);
}

TEST_F(LayerEndTest, WhatOutlastsTheDrainIsCancelled) {
  Start({"--drain-delay", "0", "--drain-timeout", "2s"});
  server_.MakeSession("s");
  // A minute's work.
  const auto batch = server_.BeginForwardBatch(Lane("s", 200, 1024));
  AwaitTokens(1);
  server_.process().Signal(SIGTERM);
  EXPECT_EQ(server_.process().Wait(), 0);
  EXPECT_THAT(batch->Wait().status().code(),
              AnyOf(StatusCode::kCancelled, StatusCode::kUnavailable));
}

}  // namespace
}  // namespace attn::test
