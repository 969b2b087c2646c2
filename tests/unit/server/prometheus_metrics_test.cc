#include "server/prometheus_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/server/exposition.h"

namespace attn {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Optional;

// Every family of the contract.
const std::vector<std::string> kFamilies{
    "grpc_server_started_total",
    "grpc_server_handled_total",
    "grpc_server_handling_seconds",
    "attn_queue_wait_seconds",
    "attn_projection_seconds",
    "attn_batch_form_seconds",
    "attn_compute_seconds",
    "attn_receive_seconds",
    "attn_send_seconds",
    "attn_batch_size",
    "attn_batch_tokens",
    "attn_request_bytes",
    "attn_response_bytes",
    "attn_tasks_total",
    "attn_admitted_tasks_total",
    "attn_batches_total",
    "attn_shed_total",
    "attn_refused_total",
    "attn_queue_depth",
    "attn_queue_bytes",
    "attn_inflight_bytes",
    "attn_workers",
    "attn_workers_busy",
    "attn_sessions",
    "attn_kv_bytes",
    "attn_kv_bytes_limit",
    "attn_sessions_limit",
    "attn_memory_bytes_limit",
    "attn_kv_shared_bytes",
    "attn_sessions_closed_total",
    "attn_layers",
    "attn_layer_weight_bytes",
    "attn_layer_weight_bytes_limit",
    "attn_layer_tokens_total",
    "attn_tenant_sessions",
    "attn_tenant_kv_bytes",
    "attn_tenant_queue_depth",
    "attn_tenant_inflight_bytes",
    "attn_tenant_admitted_tasks_total",
    "attn_tenant_refused_total",
    "attn_pool_bytes",
    "attn_shared_memory_bytes",
    "attn_access_denied_total",
    "attn_credential_reloads_total",
    "attn_tls_certificate_expiry_timestamp_seconds",
    "attn_build_info",
    "attn_draining",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
};

class PrometheusMetricsTest : public testing::Test {
 protected:
  std::optional<double> Sample(const std::string& series) const {
    return SampleOf(metrics_.Render(), series);
  }

  int64_t pool_bytes_ = 4096;
  int64_t shared_memory_bytes_ = 0;
  LayerTotals layers_{.names = {"llama/0"}, .bytes = 300};
  TenantTable tenants_{{.max_sessions = 1}, {{"search", {}}}};
  PrometheusMetrics metrics_{
      {.version = "1.2.3",
       .onednn = "2.6.3",
       .isa = "AVX2",
       .workers = 2,
       .kv_bytes_limit = 1000,
       .sessions_limit = 7,
       .layer_bytes_limit = 9000,
       .memory_bytes_limit = 5000,
       .pool_bytes = [this] { return pool_bytes_; },
       .shared_memory_bytes = [this] { return shared_memory_bytes_; },
       .layers = [this] { return layers_; },
       .tenants = [this] { return tenants_.Usage(); }}};
};

TEST_F(PrometheusMetricsTest, HasEveryFamilyFromTheStart) {
  std::set<std::string> families;
  std::istringstream lines(metrics_.Render());
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, 7, "# TYPE ") != 0) continue;
    families.insert(line.substr(7, line.find(' ', 7) - 7));
  }
  EXPECT_THAT(families, IsSupersetOf(kFamilies));
}

TEST_F(PrometheusMetricsTest, HasEveryLabelValueFromTheStart) {
  const std::string page = metrics_.Render();
  for (
      const char* series :
      {"attn_tasks_total{outcome=\"expired\"}",
       "attn_batches_total{closed_by=\"idle_worker\"}",
       "attn_shed_total{reason=\"QUEUE_FULL\"}",
       "attn_refused_total{reason=\"KV_MEMORY\"}",
       "attn_refused_total{reason=\"NOT_SERVED\"}",
       "attn_queue_wait_seconds_count{kind=\"decode\"}",
       "attn_projection_seconds_count",
       "attn_layer_tokens_total{layer=\"llama/0\"}",
       "attn_refused_total{reason=\"LAYER_NOT_LOADED\"}",
       "attn_refused_total{reason=\"BAD_CHECKPOINT\"}",
       "attn_sessions_closed_total{reason=\"expired\"}",
       "attn_tenant_kv_bytes{tenant=\"search\"}",
       "attn_tenant_admitted_tasks_total{tenant=\"other\"}",
       "attn_tenant_refused_total{bound=\"queue\",tenant=\"search\"}",
       "attn_access_denied_total{code=\"PermissionDenied\",port=\"http\"}",
       R"(attn_access_denied_total{code="Unauthenticated",port="grpc"})",
       "attn_credential_reloads_total{files=\"tls\",outcome=\"failed\"}",
       "attn_credential_reloads_total{files=\"tokens\",outcome=\"ok\"}",
       "attn_tls_certificate_expiry_timestamp_seconds",
       R"(grpc_server_handled_total{grpc_code="ResourceExhausted",grpc_method="ImportSession",grpc_service="attn.v1.SessionService",grpc_type="client_stream"})",
       R"(grpc_server_started_total{grpc_method="Watch",grpc_service="grpc.health.v1.Health",grpc_type="server_stream"})"}) {
    EXPECT_THAT(SampleOf(page, series), Optional(0)) << series;
  }
}

TEST_F(PrometheusMetricsTest, ShowsWhatItWasBuiltWith) {
  EXPECT_THAT(
      Sample(
          "attn_build_info{isa=\"AVX2\",onednn=\"2.6.3\",version=\"1.2.3\"}"),
      Optional(1));
  EXPECT_THAT(Sample("attn_workers"), Optional(2));
  EXPECT_THAT(Sample("attn_kv_bytes_limit"), Optional(1000));
  EXPECT_THAT(Sample("attn_sessions_limit"), Optional(7));
  EXPECT_THAT(Sample("attn_memory_bytes_limit"), Optional(5000));
}

TEST_F(PrometheusMetricsTest, AsksForThePoolAtEachScrape) {
  EXPECT_THAT(Sample("attn_pool_bytes"), Optional(4096));
  pool_bytes_ = 8192;
  EXPECT_THAT(Sample("attn_pool_bytes"), Optional(8192));
  shared_memory_bytes_ = 100;
  EXPECT_THAT(Sample("attn_shared_memory_bytes"), Optional(100));
}

TEST_F(PrometheusMetricsTest, CountsTokensOfLayersThatAreLoaded) {
  metrics_.ForwardTokens("llama/0", 3);
  metrics_.ForwardTokens("llama/1", 5);
  EXPECT_THAT(Sample("attn_layers"), Optional(1));
  EXPECT_THAT(Sample("attn_layer_weight_bytes"), Optional(300));
  EXPECT_THAT(Sample("attn_layer_weight_bytes_limit"), Optional(9000));
  EXPECT_THAT(Sample("attn_layer_tokens_total{layer=\"llama/0\"}"),
              Optional(3));
  EXPECT_EQ(Sample("attn_layer_tokens_total{layer=\"llama/1\"}"), std::nullopt);
  // A layer that comes back goes on counting.
  layers_.names = {"llama/1"};
  metrics_.ForwardTokens("llama/1", 2);
  EXPECT_THAT(Sample("attn_layer_tokens_total{layer=\"llama/1\"}"),
              Optional(7));
}

TEST_F(PrometheusMetricsTest, MeasuresProjections) {
  metrics_.ProjectionRan(std::chrono::milliseconds(250));
  EXPECT_THAT(Sample("attn_projection_seconds_count"), Optional(1));
  EXPECT_THAT(Sample("attn_projection_seconds_sum"), Optional(0.25));
}

TEST_F(PrometheusMetricsTest, NamesTenantsThatTheOperatorNamed) {
  (*tenants_.Find("search"))->AddSession();
  Tenant& stranger = **tenants_.Find("stranger");
  stranger.AddSession();
  EXPECT_FALSE(stranger.CheckSessions().ok());
  EXPECT_TRUE(stranger.TakeKvBytes(64).ok());
  stranger.QueueChanged(3, 100);
  const auto expect = [this](const std::string& series, double value) {
    EXPECT_THAT(Sample(series), Optional(value)) << series;
  };
  expect("attn_tenant_sessions{tenant=\"search\"}", 1);
  expect("attn_tenant_sessions{tenant=\"other\"}", 1);
  expect("attn_tenant_kv_bytes{tenant=\"other\"}", 64);
  expect("attn_tenant_queue_depth{tenant=\"other\"}", 3);
  expect("attn_tenant_inflight_bytes{tenant=\"other\"}", 100);
  expect("attn_tenant_refused_total{bound=\"sessions\",tenant=\"other\"}", 1);
  EXPECT_EQ(Sample("attn_tenant_sessions{tenant=\"stranger\"}"), std::nullopt);
}

TEST_F(PrometheusMetricsTest, CountsWhoWasTurnedAwayAndWhatWasReloaded) {
  metrics_.AccessDenied(AccessPoint::kHttp, 16);
  metrics_.AccessDenied(AccessPoint::kGrpc, 7);
  metrics_.AccessDenied(AccessPoint::kGrpc, 7);
  metrics_.CredentialsReloaded(CredentialFiles::kTokens, /*taken=*/false);
  metrics_.CredentialsReloaded(CredentialFiles::kTls, /*taken=*/true);
  const auto denied = [this](const std::string& code, const std::string& port) {
    return Sample("attn_access_denied_total{code=\"" + code + "\",port=\"" +
                  port + "\"}");
  };
  EXPECT_THAT(denied("Unauthenticated", "http"), Optional(1));
  EXPECT_THAT(denied("PermissionDenied", "http"), Optional(0));
  EXPECT_THAT(denied("PermissionDenied", "grpc"), Optional(2));
  const auto reloads = [this](const std::string& labels) {
    return Sample("attn_credential_reloads_total{" + labels + "}");
  };
  EXPECT_THAT(reloads("files=\"tokens\",outcome=\"failed\""), Optional(1));
  EXPECT_THAT(reloads("files=\"tls\",outcome=\"ok\""), Optional(1));
  EXPECT_THAT(reloads("files=\"tls\",outcome=\"failed\""), Optional(0));
}

TEST_F(PrometheusMetricsTest, CountsTasksByOutcomeAndKind) {
  metrics_.TaskAdmitted();
  metrics_.TaskFinished(
      Outcome::kCompleted, TaskKind::kDecode,
      {.queue_wait = milliseconds(2), .compute = microseconds(30)});
  EXPECT_THAT(Sample("attn_admitted_tasks_total"), Optional(1));
  EXPECT_THAT(Sample("attn_tasks_total{outcome=\"completed\"}"), Optional(1));
  EXPECT_THAT(Sample("attn_queue_wait_seconds_sum{kind=\"decode\"}"),
              Optional(0.002));
  EXPECT_THAT(
      Sample("attn_compute_seconds_bucket{kind=\"decode\",le=\"2.5e-05\"}"),
      Optional(0));
  EXPECT_THAT(
      Sample("attn_compute_seconds_bucket{kind=\"decode\",le=\"5e-05\"}"),
      Optional(1));
}

TEST_F(PrometheusMetricsTest, TaskThatNeverRanHasNoComputeTime) {
  metrics_.TaskFinished(Outcome::kExpired, TaskKind::kPrefill, {});
  EXPECT_THAT(Sample("attn_queue_wait_seconds_count{kind=\"prefill\"}"),
              Optional(1));
  EXPECT_THAT(Sample("attn_compute_seconds_count{kind=\"prefill\"}"),
              Optional(0));
}

TEST_F(PrometheusMetricsTest, CountsReasonsByTheirWireNames) {
  metrics_.TaskRefused(Reason::kInvalidTensor);
  metrics_.TaskShed(Reason::kDraining);
  metrics_.TaskShed(Reason::kNone);
  EXPECT_THAT(Sample("attn_refused_total{reason=\"INVALID_TENSOR\"}"),
              Optional(1));
  EXPECT_THAT(Sample("attn_shed_total{reason=\"DRAINING\"}"), Optional(1));
  EXPECT_THAT(Sample("attn_shed_total{reason=\"OTHER\"}"), Optional(1));
}

TEST_F(PrometheusMetricsTest, BatchSizesSumToTasks) {
  metrics_.BatchClosed({.num_tasks = 3, .num_query_tokens = 48});
  metrics_.BatchClosed({.num_tasks = 2, .closed_by = ClosedBy::kFull});
  EXPECT_THAT(Sample("attn_batch_size_sum"), Optional(5));
  EXPECT_THAT(Sample("attn_batch_size_count"), Optional(2));
  EXPECT_THAT(Sample("attn_batch_tokens_sum"), Optional(48));
  EXPECT_THAT(Sample("attn_batches_total{closed_by=\"full\"}"), Optional(1));
}

TEST_F(PrometheusMetricsTest, GaugesFollowTheEngine) {
  metrics_.QueueChanged(4, 1024);
  metrics_.InflightBytesChanged(2048);
  metrics_.WorkersBusyChanged(2);
  metrics_.WorkersBusyChanged(-1);
  metrics_.SetDraining(true);
  EXPECT_THAT(Sample("attn_queue_depth"), Optional(4));
  EXPECT_THAT(Sample("attn_queue_bytes"), Optional(1024));
  EXPECT_THAT(Sample("attn_inflight_bytes"), Optional(2048));
  EXPECT_THAT(Sample("attn_workers_busy"), Optional(1));
  EXPECT_THAT(Sample("attn_draining"), Optional(1));
}

TEST_F(PrometheusMetricsTest, TotalsAddUpLikeTheLedger) {
  for (int i = 0; i < 3; ++i) metrics_.TaskAdmitted();
  metrics_.TaskFinished(Outcome::kCompleted, TaskKind::kPrefill, {});
  metrics_.TaskFinished(Outcome::kCancelled, TaskKind::kPrefill, {});
  metrics_.TaskFinished(Outcome::kShed, TaskKind::kPrefill, {});
  metrics_.BatchClosed({.num_tasks = 1});
  metrics_.TaskRefused(Reason::kQueueFull);
  metrics_.TaskRefused(Reason::kInvalidTensor);
  const EngineTotals totals = metrics_.Totals();
  EXPECT_EQ(totals.admitted, 3);
  EXPECT_EQ(totals.completed, 1);
  EXPECT_EQ(totals.cancelled, 1);
  EXPECT_EQ(totals.shed, 1);
  EXPECT_EQ(totals.failed + totals.expired, 0);
  EXPECT_EQ(totals.batches, 1);
  EXPECT_EQ(totals.refused, 2);
}

TEST_F(PrometheusMetricsTest, DistributionsAreTheHistograms) {
  const auto time = milliseconds(3);
  metrics_.TaskFinished(Outcome::kCompleted, TaskKind::kPrefill,
                        {.queue_wait = time, .compute = time});
  metrics_.TaskFinished(Outcome::kCompleted, TaskKind::kDecode,
                        {.queue_wait = 2 * time, .compute = time});
  metrics_.BatchClosed({.num_tasks = 2, .num_query_tokens = 48});
  const LoadDistributions now = metrics_.Distributions();
  EXPECT_EQ(now.queue_wait_seconds.count(), 2);
  EXPECT_DOUBLE_EQ(now.queue_wait_seconds.sum, 0.009);
  EXPECT_EQ(now.queue_wait_seconds.bounds.size() + 1,
            now.queue_wait_seconds.counts.size());
  // 3 ms and 6 ms are in the buckets up to 5 and 10 ms.
  EXPECT_DOUBLE_EQ(now.queue_wait_seconds.Quantile(0.5), 0.005);
  EXPECT_DOUBLE_EQ(now.queue_wait_seconds.Quantile(1), 0.010);
  EXPECT_EQ(now.compute_seconds.count(), 2);
  EXPECT_DOUBLE_EQ(now.batch_size.sum, 2);
  EXPECT_DOUBLE_EQ(now.batch_tokens.sum, 48);
}

TEST_F(PrometheusMetricsTest, CallTimesAreThoseOfUnaryCallsWithTensors) {
  const RpcFacts facts{
      .handling = milliseconds(3), .request_bytes = 10, .response_bytes = 20};
  for (const RpcMethod method :
       {RpcMethod::kAttend, RpcMethod::kAppendKv, RpcMethod::kAttendStream,
        RpcMethod::kHealthCheck}) {
    metrics_.RpcFinished(method, 0, facts);
  }
  const LoadDistributions now = metrics_.Distributions();
  EXPECT_EQ(now.call_seconds.count(), 2);
  EXPECT_DOUBLE_EQ(now.request_bytes.sum, 30);
  EXPECT_DOUBLE_EQ(now.response_bytes.sum, 60);
}

TEST_F(PrometheusMetricsTest, EveryFamilyHasHelp) {
  const std::string page = metrics_.Render();
  for (const std::string& family : kFamilies) {
    EXPECT_THAT(page, HasSubstr("# HELP " + family + " "));
  }
}

}  // namespace
}  // namespace attn
