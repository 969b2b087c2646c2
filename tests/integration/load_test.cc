// The server under load: right answers, the same bytes as alone, live health,
// books that balance, and a drain that loses nothing it accepted.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <thread>

#include "client/cpp/error_details.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire_case.h"
#include "tests/support/comparison.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

constexpr int kClients = 64;

// Lengths 16..2048, log-uniform, as one client each.
CaseOptions LoadOptions(uint64_t seed) {
  Random random(seed);
  const auto length = [&random] {
    return static_cast<int64_t>(
        16 * std::pow(kIsSanitized ? 8 : 128, random.Uniform()));
  };
  CaseOptions options;
  options.num_q_heads = 2;
  options.num_kv_heads = 1;
  options.q_len = length();
  options.kv_len = length();
  options.head_dim = options.value_head_dim = 64;
  options.params.causal = CausalMode::kBottomRight;
  options.seed = seed;
  return options;
}

class LoadTest : public testing::Test {
 protected:
  void MakeCases() {
    for (uint64_t i = 0; i < kClients; ++i) {
      cases_.push_back(MakeCase(LoadOptions(i)));
    }
  }

  // Runs `work(client index)` on a thread for each client.
  template <typename Work>
  static void OnEveryClient(const Work& work) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < kClients; ++i) {
      threads.emplace_back([&work, i] { work(i); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  std::vector<AttentionCase> cases_;
};

double Milliseconds(absl::Duration duration) {
  return absl::ToDoubleMilliseconds(duration);
}

TEST_F(LoadTest, ConcurrentClientsGetTheReferenceAndTheSameBytesAsAlone) {
  MakeCases();
  const ServerProcess server({"--max-queue-wait", "10m"});
  std::vector<AttentionOutputs> alone;
  const auto client = server.NewClient();
  for (const AttentionCase& c : cases_) {
    const auto response = client->Attend(ToRequest(c));
    ASSERT_TRUE(response.ok()) << response.status();
    alone.push_back(ToOutputs(c, *response));
    ASSERT_EQ(CompareWithReference(c, alone.back()), "");
  }
  constexpr int kRounds = 4;
  std::atomic<int> num_wrong{0};
  std::atomic<int> num_completed{0};
  std::atomic<bool> is_over{false};
  std::vector<double> health_ms;
  std::vector<std::unique_ptr<client::Client>> clients;
  for (size_t i = 0; i < kClients; ++i) clients.push_back(server.NewClient());
  std::thread prober([&] {
    const auto own = server.NewClient();
    while (!is_over) {
      const absl::Time start = absl::Now();
      ASSERT_TRUE(own->CheckHealth().ok());
      health_ms.push_back(Milliseconds(absl::Now() - start));
      absl::SleepFor(absl::Milliseconds(2));
    }
  });
  OnEveryClient([&](size_t i) {
    for (int round = 0; round < kRounds; ++round) {
      const size_t index = (i + static_cast<size_t>(round) * 7) % kClients;
      const auto response = clients[i]->Attend(ToRequest(cases_[index]));
      if (!response.ok() ||
          !(ToOutputs(cases_[index], *response) == alone[index])) {
        ++num_wrong;
      }
      ++num_completed;
    }
  });
  is_over = true;
  prober.join();
  EXPECT_EQ(num_wrong, 0);
  std::sort(health_ms.begin(), health_ms.end());
  const double median = health_ms[health_ms.size() / 2];
  std::printf("health: %zu checks, median %.2f ms, p99 %.2f ms, max %.2f ms\n",
              health_ms.size(), median, health_ms[health_ms.size() * 99 / 100],
              health_ms.back());
  // Clients and their reference share the two CPUs, so the tail is theirs.
  if (!kIsSanitized) {
    EXPECT_LT(median, 20.0);
  }

  const attnctl::MetricSet metrics = server.Metrics();
  const double expected = kClients + num_completed;
  EXPECT_EQ(metrics.Sum("attn_admitted_tasks_total"), expected);
  EXPECT_EQ(metrics.Sum("attn_tasks_total", {{"outcome", "completed"}}),
            expected);
  EXPECT_EQ(metrics.Sum("attn_tasks_total"), expected);
  EXPECT_EQ(metrics.Sum("attn_batch_size_sum"), expected);
  EXPECT_EQ(metrics.Sum("attn_batch_size_count"),
            metrics.Sum("attn_batches_total"));
  EXPECT_EQ(metrics.Sum("attn_queue_wait_seconds_count"), expected);
  EXPECT_EQ(metrics.Sum("attn_request_bytes_count"), expected);
  EXPECT_EQ(metrics.Sum("grpc_server_handled_total",
                        {{"grpc_method", "Attend"}, {"grpc_code", "OK"}}),
            expected);
  EXPECT_EQ(metrics.Sum("attn_queue_depth"), 0);
  EXPECT_EQ(metrics.Sum("attn_inflight_bytes"), 0);
}

// What a client may see once the drain began.
bool IsDrainRefusal(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable;
}

TEST_F(LoadTest, SigtermUnderLoadFailsNoAcceptedCall) {
  MakeCases();
  ServerProcess server({"--drain-delay", "300ms", "--drain-timeout", "60s",
                        "--max-queue-wait", "10m"});
  std::atomic<int> num_answered{0};
  std::atomic<int> num_failed{0};
  std::atomic<bool> was_signalled{false};
  std::thread killer([&] {
    while (num_answered < 2 * kClients) absl::SleepFor(absl::Milliseconds(1));
    was_signalled = true;
    server.Signal(SIGTERM);
  });
  OnEveryClient([&](size_t i) {
    const auto own = server.NewClient();
    const client::AttendRequest request = ToRequest(cases_[i]);
    for (int call = 0; call < 100000; ++call) {
      const auto response = own->Attend(request);
      if (response.ok()) {
        ++num_answered;
        continue;
      }
      // Refused at the door of a draining server is the only way to end.
      if (!was_signalled || !IsDrainRefusal(response.status())) {
        ++num_failed;
        ADD_FAILURE() << response.status();
      }
      return;
    }
  });
  killer.join();
  EXPECT_EQ(server.Wait(), 0);
  EXPECT_EQ(num_failed, 0);
  EXPECT_GE(num_answered, 2 * kClients);
}

TEST(DrainTest, ReadinessTurnsFirstAndCallsAreStillServed) {
  ServerProcess server({"--drain-delay", "2s"});
  const auto client = server.NewClient();
  EXPECT_EQ(server.Get("/readyz"), "ready\n");
  std::vector<client::Health> seen;
  std::thread watcher([&] {
    const auto own = server.NewClient();
    (void)own->WatchHealth("", [&](client::Health health) {
      seen.push_back(health);
      return true;
    });
  });
  while (*client->CheckHealth() != client::Health::kServing) {
  }
  server.Signal(SIGTERM);
  while (*client->CheckHealth() == client::Health::kServing) {
  }
  EXPECT_EQ(server.Get("/readyz"), "") << "503 while draining";
  EXPECT_NE(server.Get("/livez"), "") << "200 while draining";
  EXPECT_EQ(*client->CheckHealth("liveness"), client::Health::kServing);
  EXPECT_TRUE(client->Attend(ToRequest(MakeCase({}))).ok());
  EXPECT_EQ(server.Metrics().Sum("attn_draining"), 1);
  // An open Watch stream must not hold the server up to its timeout of 30 s.
  const absl::Time start = absl::Now();
  EXPECT_EQ(server.Wait(), 0);
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));
  watcher.join();
  EXPECT_EQ(seen.back(), client::Health::kNotServing);
}

TEST(DrainTest, SecondSignalEndsAtOnceWithExitCodeZero) {
  ServerProcess server({"--drain-delay", "1h"});
  const auto client = server.NewClient();
  ASSERT_TRUE(client->CheckHealth().ok());
  server.Signal(SIGTERM);
  while (*client->CheckHealth() == client::Health::kServing) {
  }
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0);
}

TEST(CancelTest, ClientsThatLeaveAreCountedAndFreeTheirMemory) {
  // However slow the machine is, none of the calls is to be refused.
  ServerProcess server({"--workers", "1", "--max-queue-wait", "10m"});
  const auto client = server.NewClient();
  CaseOptions options;
  options.num_q_heads = options.num_kv_heads = 8;
  options.q_len = options.kv_len = Scaled(2000, 500);
  options.head_dim = options.value_head_dim = 64;
  const client::AttendRequest request = ToRequest(MakeCase(options));
  constexpr int kCalls = 6;
  std::vector<client::CallHandle> calls;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(client->AttendAsync(request, [](const auto&) {}));
  }
  while (server.Metrics().Sum("attn_admitted_tasks_total") < kCalls) {
  }
  for (const client::CallHandle& call : calls) call.Cancel();
  attnctl::MetricSet metrics = server.Metrics();
  while (metrics.Sum("attn_tasks_total") < kCalls) metrics = server.Metrics();
  EXPECT_GE(metrics.Sum("attn_tasks_total", {{"outcome", "cancelled"}}),
            kCalls - 3);
  EXPECT_EQ(metrics.Sum("attn_queue_depth"), 0);
  while (server.Metrics().Sum("attn_inflight_bytes") > 0) {
  }
}

}  // namespace
}  // namespace attn::test
