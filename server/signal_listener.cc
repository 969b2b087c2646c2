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
  const int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  const int stop_fd = eventfd(0, EFD_CLOEXEC);
  if (signal_fd < 0 || stop_fd < 0) {
    if (signal_fd >= 0) close(signal_fd);
    if (stop_fd >= 0) close(stop_fd);
    return absl::ErrnoToStatus(errno, "signals cannot be listened to");
  }
  return std::unique_ptr<SignalListener>(
      new SignalListener(signal_fd, stop_fd, std::move(on_signal)));
}

SignalListener::SignalListener(int signal_fd, int stop_fd,
                               std::function<void()> on_signal)
    : signal_fd_(signal_fd),
      stop_fd_(stop_fd),
      on_signal_(std::move(on_signal)),
      thread_([this] { Listen(); }) {}

SignalListener::~SignalListener() {
  const uint64_t one = 1;
  // An eventfd that was never written to takes one write without fail.
  [[maybe_unused]] const ssize_t written = write(stop_fd_, &one, sizeof(one));
  thread_.join();
  close(stop_fd_);
  close(signal_fd_);
}

void SignalListener::Listen() {
  std::array<pollfd, 2> descriptors{
      {{signal_fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}}};
  while (true) {
    const int num_ready = poll(descriptors.data(), descriptors.size(), -1);
    if (num_ready < 0) continue;  // EINTR.
    if (descriptors[1].revents != 0) return;
    signalfd_siginfo signal{};
    while (read(signal_fd_, &signal, sizeof(signal)) == sizeof(signal)) {
      on_signal_();
    }
  }
}

}  // namespace attn
