// attnserve: reads its settings, starts the server, drains it at the first
// SIGTERM. Wiring only. Exit codes: 0 after a drain, or a signal before it
// served, 1 when it cannot serve, 2 for settings that are not understood.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/base/cpu_topology.h"
#include "google/protobuf/stubs/logging.h"
#include "server/attention_server.h"
#include "server/command_line.h"
#include "server/descriptor_limit.h"
#include "server/drain.h"
#include "server/free_memory.h"
#include "server/healthcheck.h"
#include "server/log.h"
#include "server/signal_listener.h"
#include "server/ticker.h"

namespace attn {
namespace {

// What malloc may keep for the next burst, and how often that is looked at.
constexpr size_t kFreeBytesKept = size_t{64} << 20;
constexpr std::chrono::seconds kFreeMemoryInterval(10);

std::vector<std::string> Environment() {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    entries.emplace_back(*entry);
  }
  return entries;
}

void Drain(AttentionServer& server, const ServerConfig& config, const Log& log,
           const Clock& clock, DrainEvents& events) {
  const DrainSteps steps{
      .become_unready =
          [&] {
            log.Info("draining: not ready, still accepting calls");
            server.BecomeUnready();
          },
      .refuse_calls =
          [&] {
            log.Info("draining: refusing new calls");
            server.RefuseCalls();
          },
      .shut_down = [&](Duration grace) { server.ShutDown(grace); },
      .exit_now =
          [&] {
            log.Warning("ending at once; calls under way are lost");
            _exit(0);
          }};
  RunDrain({.delay = config.drain_delay, .timeout = config.drain_timeout},
           steps, clock, events);
  log.Info("drained");
}

int Serve(const ServerConfig& config) {
  const Log log(config.log_level, config.log_format);
  RaiseDescriptorLimit();
  const SteadyClock clock;
  DrainEventQueue events(clock);
  std::atomic<bool> is_wanted = true;
  const auto listener = SignalListener::Start([&] {
    is_wanted = false;
    events.Post(DrainEvent::kSignal);
  });
  if (!listener.ok()) {
    log.Error("cannot start", {{"reason", listener.status().ToString()}});
    return 1;
  }
  const auto server = AttentionServer::Start(
      config, log, clock, [&is_wanted] { return is_wanted.load(); });
  if (absl::IsCancelled(server.status())) {
    log.Info("ended before it served");
    return 0;
  }
  if (!server.ok()) {
    const auto message = server.status().message();
    log.Error("cannot start",
              {{"reason", std::string_view(message.data(), message.size())}});
    return 1;
  }
  log.Info("serving", {{"grpc", (*server)->grpc_address()},
                       {"http", (*server)->http_address()},
                       {"version", ServerVersion()}});
  const Ticker free_memory(kFreeMemoryInterval,
                           [] { ReturnFreeMemory(kFreeBytesKept); });
  Drain(**server, config, log, clock, events);
  return 0;
}

// Debian's abseil, which gRPC uses too, looks for deadlocks at every lock taken
// under another, behind one lock of the process: 40 ns instead of 14.
void LeaveDeadlocksToTests() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

int Run(int argc, char** argv) {
  // Protobuf would write what clients send wrong to standard error.
  google::protobuf::SetLogHandler(nullptr);
  const auto invocation = ParseCommandLine(
      {argv + 1, argv + argc}, Environment(),
      {.version = ServerVersion(), .usable_memory_bytes = UsableMemoryBytes()});
  if (!invocation.ok()) {
    std::cerr << "attnserve: " << invocation.status().message() << "\n";
    return 2;
  }
  switch (invocation->action) {
    case Action::kShowText:
      std::cout << invocation->text;
      return 0;
    case Action::kHealthcheck:
      return RunHealthcheck(invocation->healthcheck, std::cout);
    case Action::kServe:
      break;
  }
  return Serve(invocation->config);
}

}  // namespace
}  // namespace attn

int main(int argc, char** argv) {
  attn::BlockShutdownSignals();
  attn::LeaveDeadlocksToTests();
  return attn::Run(argc, argv);
}
