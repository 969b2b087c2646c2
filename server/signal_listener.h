// SIGTERM and SIGINT as ordinary calls on an ordinary thread: nothing ever runs
// in a signal handler.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "server/descriptor.h"

namespace attn {

// Blocks SIGTERM and SIGINT in the calling thread and in those it starts from
// then on. Call first thing in main, before any other thread exists.
void BlockShutdownSignals();

// Thread-safe.
class SignalListener {
 public:
  // Calls `on_signal` on a thread of its own for each signal that arrives.
  // RESOURCE_EXHAUSTED or another code if the system gives no descriptors.
  // REQUIRES: the signals are blocked.
  static absl::StatusOr<std::unique_ptr<SignalListener>> Start(
      std::function<void()> on_signal);

  // Stops listening; signals stay blocked.
  ~SignalListener();
  SignalListener(const SignalListener&) = delete;
  SignalListener& operator=(const SignalListener&) = delete;

 private:
  SignalListener(Descriptor signals, Descriptor stop,
                 std::function<void()> on_signal);

  void Listen();

  const Descriptor signals_;
  const Descriptor stop_;
  const std::function<void()> on_signal_;
  std::thread thread_;
};

}  // namespace attn
