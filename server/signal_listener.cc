#include "server/signal_listener.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"

namespace attn {
namespace {

sigset_t ShutdownSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

void BlockShutdownSignals() {
  const sigset_t signals = ShutdownSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

absl::StatusOr<std::unique_ptr<SignalListener>> SignalListener::Start(
    std::function<void()> on_signal) {
  const sigset_t signals = ShutdownSignals();
  Descriptor arrived(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  Descriptor stop(eventfd(0, EFD_CLOEXEC));
  if (!arrived.is_open() || !stop.is_open()) {
    return absl::ErrnoToStatus(errno, "signals cannot be listened to");
  }
  return std::unique_ptr<SignalListener>(new SignalListener(
      std::move(arrived), std::move(stop), std::move(on_signal)));
}

SignalListener::SignalListener(Descriptor signals, Descriptor stop,
                               std::function<void()> on_signal)
    : signals_(std::move(signals)),
      stop_(std::move(stop)),
      on_signal_(std::move(on_signal)),
      thread_([this] { Listen(); }) {}

SignalListener::~SignalListener() {
  const uint64_t one = 1;
  // An eventfd that was never written to takes one write without fail.
  [[maybe_unused]] const ssize_t written =
      write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

void SignalListener::Listen() {
  std::array<pollfd, 2> descriptors{
      {{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  while (true) {
    const int num_ready = poll(descriptors.data(), descriptors.size(), -1);
    if (num_ready < 0) continue;  // EINTR.
    if (descriptors[1].revents != 0) return;
    signalfd_siginfo signal{};
    while (read(signals_.get(), &signal, sizeof(signal)) == sizeof(signal)) {
      on_signal_();
    }
  }
}

}  // namespace attn
