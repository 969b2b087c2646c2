#include "server/attention_server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/attention/tile_gemm.h"
#include "core/base/cpu_topology.h"
#include "core/base/status_macros.h"
#include "core/engine/engine.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/access/entrance.h"
#include "server/access/gate.h"
#include "server/access/tls_credentials.h"
#include "server/attention_service.h"
#include "server/connection_limits.h"
#include "server/engine_settings.h"
#include "server/health_service.h"
#include "server/http_endpoint.h"
#include "server/inference/inference_service.h"
#include "server/layer_host.h"
#include "server/listen_address.h"
#include "server/memory_socket.h"
#include "server/process_facts.h"
#include "server/session_service.h"
#include "server/statusz.h"
#include "server/tenant_file.h"
#include "server/ticker.h"

namespace attn {
namespace {

// For ids of sessions and spans.
uint64_t SystemRandom() {
  thread_local std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

// Long enough for a client that calls in a loop to get its DRAINING.
constexpr Duration kLinger = std::chrono::milliseconds(500);

class WiredServer final : public AttentionServer {
 public:
  WiredServer(const ServerConfig& config, const Log& log, const Clock& clock)
      : config_(config),
        log_(log),
        clock_(clock),
        start_(clock.Now()),
        options_(EngineOptionsOf(config)),
        layers_(config),
        shared_memory_(
            {.max_bytes = config.shared_memory_bytes, .random = SystemRandom}),
        failure_log_(log, clock) {}

  ~WiredServer() override {
    if (grpc_server_ != nullptr) ShutDown(Duration{});
    failure_log_.Flush();
  }

  absl::Status Listen(const std::function<bool()>& is_wanted) {
    CapSimdIsa(config_.max_isa);
    ATTN_RETURN_IF_ERROR(MakeTenants());
    std::unique_ptr<TileGemm> gemm = MakeTileGemm(config_.max_isa);
    MakeMetrics(*gemm);
    ATTN_RETURN_IF_ERROR(OpenEntrance());
    ATTN_RETURN_IF_ERROR(ShareMemory());
    MakeEngine(std::move(gemm));
    ATTN_RETURN_IF_ERROR(ListenHttp());
    // Seconds, during which probes hear that it lives and is not ready.
    ATTN_RETURN_IF_ERROR(layers_.LoadAtStart(is_wanted));
    ATTN_RETURN_IF_ERROR(ListenGrpc());
    is_ready_ = true;
    health_->SetServing(true);
    return absl::OkStatus();
  }

  std::string grpc_address() const override { return grpc_address_; }
  std::string http_address() const override { return http_address_; }

  void BecomeUnready() override {
    is_ready_ = false;
    metrics_->SetDraining(true);
    health_->SetServing(false);
  }

  void RefuseCalls() override {
    engine_->StartDraining();
    health_->EndWatches();
  }

  void ShutDown(Duration grace) override {
    const TimePoint deadline = clock_.Now() + grace;
    BecomeUnready();
    RefuseCalls();
    Linger(deadline);
    // What does not finish in time is cancelled, which empties the queue.
    const Duration left = std::max(deadline - clock_.Now(), Duration{});
    grpc_server_->Shutdown(
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(left));
    grpc_server_->Wait();
  }

 private:
  // Lets what was accepted finish and clients hear that the server drains: a
  // call that gRPC's Shutdown meets on its way in is reset and reads CANCELLED.
  void Linger(TimePoint deadline) {
    engine_->AwaitIdle(deadline);
    absl::SleepFor(absl::FromChrono(
        std::clamp(deadline - clock_.Now(), Duration{}, kLinger)));
  }

  void MakeMetrics(const TileGemm& gemm);
  absl::Status OpenEntrance();
  absl::Status ShareMemory();
  absl::Status MakeTenants();
  void MakeEngine(std::unique_ptr<TileGemm> gemm);
  void MakeSessions();
  absl::Status ListenHttp();
  absl::Status ListenGrpc();
  SessionTotals SessionsNow() const;
  StatuszFacts Facts() const;

  const ServerConfig config_;
  const Log& log_;
  const Clock& clock_;
  const TimePoint start_;
  const EngineOptions options_;
  LayerHost layers_;
  SharedMemory shared_memory_;
  FailureLog failure_log_;
  std::atomic<bool> is_ready_{false};
  std::string isa_;
  std::string library_;
  std::string grpc_address_;
  std::string http_address_;

  // In the order in which they are made; each uses those above it.
  std::unique_ptr<TenantTable> tenants_;
  std::unique_ptr<PrometheusMetrics> metrics_;
  std::unique_ptr<Entrance> entrance_;
  std::unique_ptr<MemorySocket> memory_socket_;  // Null: none is shared.
  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<SessionStore> store_;
  std::unique_ptr<Ticker> sweeper_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<AttendContext> context_;
  std::optional<Doorkeeper> doorkeeper_;
  std::unique_ptr<AttentionService> attention_;
  std::unique_ptr<SessionService> sessions_;
  ModelStatistics model_statistics_;
  std::unique_ptr<InferenceContext> inference_context_;
  std::unique_ptr<InferenceService> inference_;
  std::unique_ptr<HealthService> health_;
  std::unique_ptr<HttpEndpoint> http_;
  std::shared_ptr<grpc::ServerCredentials> credentials_;
  std::unique_ptr<grpc::Server> grpc_server_;
};

absl::Status WiredServer::ShareMemory() {
  if (config_.shared_memory_socket.empty()) return absl::OkStatus();
  auto socket = MemorySocket::Start(
      config_.shared_memory_socket, shared_memory_,
      [this](const std::string& token) {
        return entrance_
            ->AdmitToken(AccessPoint::kSharedMemory, token, Role::kClient)
            .status();
      });
  if (!socket.ok()) {
    return absl::Status(
        socket.status().code(),
        absl::StrCat("shared-memory-socket: ", socket.status().message()));
  }
  memory_socket_ = *std::move(socket);
  return absl::OkStatus();
}

absl::Status WiredServer::MakeTenants() {
  const TenantLimits defaults{.max_kv_bytes = config_.tenant_kv_memory_bytes,
                              .max_sessions = config_.tenant_max_sessions,
                              .queue_share = config_.tenant_queue_share};
  std::vector<NamedTenant> named;
  if (!config_.tenants_file.empty()) {
    auto found = ReadTenants(config_.tenants_file, defaults);
    if (!found.ok()) {
      return absl::Status(found.status().code(),
                          absl::StrCat("tenants: ", found.status().message()));
    }
    named = *std::move(found);
  }
  tenants_ = std::make_unique<TenantTable>(defaults, std::move(named));
  return absl::OkStatus();
}

void WiredServer::MakeMetrics(const TileGemm& gemm) {
  library_ = gemm.Description();
  isa_ =
      absl::StrCat(ChosenSimdIsa(), " (", library_, " ", gemm.ChosenIsa(), ")");
  metrics_ = std::make_unique<PrometheusMetrics>(PrometheusMetrics::Options{
      .version = ServerVersion(),
      .onednn = library_,
      .isa = isa_,
      .workers = options_.num_workers,
      .kv_bytes_limit = config_.kv_memory_bytes,
      .sessions_limit = config_.max_sessions,
      .layer_bytes_limit = config_.max_layer_bytes,
      .memory_bytes_limit = UsableMemoryBytes(),
      .pool_bytes = [this] { return engine_->pool().bytes(); },
      .shared_memory_bytes = [this] { return shared_memory_.used_bytes(); },
      .sessions = [this] { return SessionsNow(); },
      .layers = [this] { return layers_.Totals(); },
      .tenants = [this] { return tenants_->Usage(); },
      .certificate_expiry_seconds =
          [this] { return entrance_->certificate_expiry_seconds(); }});
}

absl::Status WiredServer::OpenEntrance() {
  ATTN_ASSIGN_OR_RETURN(
      entrance_, Entrance::Open({.tls_certificate = config_.tls_certificate,
                                 .tls_key = config_.tls_key,
                                 .tls_client_ca = config_.tls_client_ca,
                                 .tokens = config_.token_file},
                                config_.tls_reload_interval, log_, *metrics_));
  if (entrance_->has_tls()) {
    credentials_ = MakeTlsCredentials([this] { return entrance_->identity(); });
  } else {
    credentials_ = grpc::InsecureServerCredentials();
  }
  return absl::OkStatus();
}

void WiredServer::MakeEngine(std::unique_ptr<TileGemm> gemm) {
  MakeSessions();
  engine_ =
      std::make_unique<Engine>(options_, std::move(gemm), clock_, *metrics_);
  context_ = std::make_unique<AttendContext>(
      AttendContext{.engine = *engine_,
                    .clock = clock_,
                    .metrics = *metrics_,
                    .log = log_,
                    .failure_log = failure_log_,
                    .sessions = *store_,
                    .shared_memory = memory_socket_ ? &shared_memory_ : nullptr,
                    .max_request_bytes = config_.max_request_bytes,
                    .limits = {.max_reply_bytes = config_.max_reply_bytes},
                    .random = SystemRandom});
  doorkeeper_.emplace(
      entrance_->access(), *tenants_,
      Doorkeeper::Books{
          .metrics = *metrics_, .failure_log = failure_log_, .clock = clock_});
  const Gate<AttendContext> gate(*doorkeeper_, *context_);
  attention_ = std::make_unique<AttentionService>(gate);
  sessions_ = std::make_unique<SessionService>(gate);
  layers_.Open(*doorkeeper_, *context_);
  inference_context_ = std::make_unique<InferenceContext>(InferenceContext{
      .attend = *context_,
      .layers = layers_.store(),
      .statistics = model_statistics_,
      .is_ready = [this] { return is_ready_.load(); },
      .limits = {.max_queue_tasks = config_.max_queue_tasks,
                 .max_batch_delay = config_.max_batch_delay,
                 .max_sessions = config_.max_sessions,
                 .session_idle_ttl = config_.session_idle_ttl}});
  inference_ = std::make_unique<InferenceService>(
      Gate<InferenceContext>(*doorkeeper_, *inference_context_),
      ServerVersion());
  health_ = std::make_unique<HealthService>(*metrics_, clock_);
}

void WiredServer::MakeSessions() {
  pages_ = std::make_unique<PagePool>(config_.kv_memory_bytes);
  store_ = std::make_unique<SessionStore>(
      SessionLimits{.max_sessions = config_.max_sessions,
                    .idle_ttl = config_.session_idle_ttl},
      SessionStore::Dependencies{.pool = *pages_,
                                 .clock = clock_,
                                 .metrics = *metrics_,
                                 .random = SystemRandom});
  sweeper_ = std::make_unique<Ticker>(std::chrono::seconds(1),
                                      [this] { store_->Sweep(); });
}

absl::Status WiredServer::ListenHttp() {
  HttpHandlers handlers{
      .admit =
          [this](const auto& authorization) {
            return entrance_
                ->Admit(AccessPoint::kHttp, {.authorization = authorization},
                        Role::kMonitor)
                .status();
          },
      .metrics = [this] { return metrics_->Render(); },
      .is_ready = [this] { return is_ready_.load(); },
      .statusz =
          [this](PageFormat format) {
            return format == PageFormat::kJson ? RenderStatuszJson(Facts())
                                               : RenderStatuszHtml(Facts());
          },
      .files = StatuszFiles()};
  ATTN_ASSIGN_OR_RETURN(
      http_, HttpEndpoint::Start(config_.http_address, std::move(handlers)));
  ATTN_ASSIGN_OR_RETURN(ListenAddress address,
                        ParseListenAddress(config_.http_address));
  address.port = http_->port();
  http_address_ = FormatListenAddress(address);
  return absl::OkStatus();
}

absl::Status WiredServer::ListenGrpc() {
  ATTN_ASSIGN_OR_RETURN(ListenAddress address,
                        ParseListenAddress(config_.grpc_address));
  if (config_.reflection) {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  }
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(FormatListenAddress(address), credentials_, &port);
  // A second server on the port would silently take half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  BoundConnections(config_, builder);
  builder.RegisterService(attention_.get());
  builder.RegisterService(sessions_.get());
  builder.RegisterService(&layers_.service());
  builder.RegisterService(inference_.get());
  builder.RegisterService(health_.get());
  grpc_server_ = builder.BuildAndStart();
  if (grpc_server_ == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("grpc-address: cannot listen on ", config_.grpc_address));
  }
  if (!address.is_unix()) address.port = port;
  grpc_address_ = FormatListenAddress(address);
  return absl::OkStatus();
}

SessionTotals WiredServer::SessionsNow() const {
  return {.sessions = store_->size(),
          .kv_bytes = pages_->used_bytes(),
          .kv_shared_bytes = pages_->shared_bytes()};
}

StatuszFacts WiredServer::Facts() const {
  return {.version = ServerVersion(),
          .onednn = library_,
          .isa = isa_,
          .huge_pages = ReadHugePages(),
          .uptime = clock_.Now() - start_,
          .ready = is_ready_,
          .workers = engine_->num_workers(),
          .totals = metrics_->Totals(),
          .distributions = metrics_->Distributions(),
          .sessions = SessionsNow(),
          .kv_bytes_limit = config_.kv_memory_bytes,
          .layers = layers_.Totals(),
          .layer_bytes_limit = config_.max_layer_bytes,
          .pool_bytes = engine_->pool().bytes(),
          .resident_bytes = ReadProcessFacts().resident_bytes,
          .config = PrintConfig(config_)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<AttentionServer>> AttentionServer::Start(
    const ServerConfig& config, const Log& log, const Clock& clock,
    const std::function<bool()>& is_wanted) {
  auto server = std::make_unique<WiredServer>(config, log, clock);
  ATTN_RETURN_IF_ERROR(server->Listen(is_wanted));
  return server;
}

std::string ServerVersion() { return ATTN_VERSION; }

}  // namespace attn
