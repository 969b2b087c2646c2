#include "server/signal_listener.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace attn {
namespace {

TEST(SignalListenerTest, CallsBackForEachSignal) {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  BlockShutdownSignals();
  absl::Mutex mutex;
  int num_signals = 0;
  {
    const auto listener = SignalListener::Start([&] {
      absl::MutexLock lock(&mutex);
      ++num_signals;
    });
    ASSERT_TRUE(listener.ok()) << listener.status();
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGINT);
    const auto got_both = [&] { return num_signals == 2; };
    absl::MutexLock lock(&mutex);
    EXPECT_TRUE(
        mutex.AwaitWithTimeout(absl::Condition(&got_both), absl::Seconds(30)));
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(SignalListenerTest, StopsWithoutASignal) {
  const auto listener = SignalListener::Start([] {});
  EXPECT_TRUE(listener.ok());
}

}  // namespace
}  // namespace attn
