// Debian's abseil is built without ThreadSanitizer, which therefore does not
// see that a Mutex orders what it guards, and reports races everywhere. These
// wrappers tell it. The linker puts them (--wrap, see CMakeLists.txt) between
// our code and the library; only TSan builds have them.
#include "absl/time/time.h"

// The names are ThreadSanitizer's and the mangler's.
// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming)
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);

// ATTN_ABSL_NAMESPACE is abseil's inline namespace as it is mangled: 7debian3.
#define ATTN_PASTE_INNER(a, b, c) a##b##c
#define ATTN_PASTE(a, b, c) ATTN_PASTE_INNER(a, b, c)
#define ATTN_REAL(name) ATTN_PASTE(__real__ZN4absl, ATTN_ABSL_NAMESPACE, name)
#define ATTN_WRAP(name) ATTN_PASTE(__wrap__ZN4absl, ATTN_ABSL_NAMESPACE, name)
#define ATTN_REAL_CONST(name) \
  ATTN_PASTE(__real__ZNK4absl, ATTN_ABSL_NAMESPACE, name)
#define ATTN_WRAP_CONST(name) \
  ATTN_PASTE(__wrap__ZNK4absl, ATTN_ABSL_NAMESPACE, name)

extern "C" {

// The library's own deadlock detector, under a lock that TSan does not see. By
// its file, because the library is stripped and a function may have no name.
const char* __tsan_default_suppressions() {
  return "race:libabsl_graphcycles_internal\n";
}

// Mutex
void ATTN_REAL(5Mutex4LockEv)(void* mutex);
void ATTN_WRAP(5Mutex4LockEv)(void* mutex) {
  ATTN_REAL(5Mutex4LockEv)(mutex);
  __tsan_acquire(mutex);
}

void ATTN_REAL(5Mutex6UnlockEv)(void* mutex);
void ATTN_WRAP(5Mutex6UnlockEv)(void* mutex) {
  __tsan_release(mutex);
  ATTN_REAL(5Mutex6UnlockEv)(mutex);
}

// Readers, too, come after the last writer and before the next one.
void ATTN_REAL(5Mutex10ReaderLockEv)(void* mutex);
void ATTN_WRAP(5Mutex10ReaderLockEv)(void* mutex) {
  ATTN_REAL(5Mutex10ReaderLockEv)(mutex);
  __tsan_acquire(mutex);
}

void ATTN_REAL(5Mutex12ReaderUnlockEv)(void* mutex);
void ATTN_WRAP(5Mutex12ReaderUnlockEv)(void* mutex) {
  __tsan_release(mutex);
  ATTN_REAL(5Mutex12ReaderUnlockEv)(mutex);
}

// CondVar: waiting unlocks and locks inside the library.
void ATTN_REAL(7CondVar4WaitEPNS0_5MutexE)(void* condition, void* mutex);
void ATTN_WRAP(7CondVar4WaitEPNS0_5MutexE)(void* condition, void* mutex) {
  __tsan_release(mutex);
  ATTN_REAL(7CondVar4WaitEPNS0_5MutexE)(condition, mutex);
  __tsan_acquire(mutex);
}

bool ATTN_REAL(7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE)(
    void* condition, void* mutex, absl::Duration timeout);
bool ATTN_WRAP(7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE)(
    void* condition, void* mutex, absl::Duration timeout) {
  __tsan_release(mutex);
  const bool is_late =
      ATTN_REAL(7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE)(
          condition, mutex, timeout);
  __tsan_acquire(mutex);
  return is_late;
}

// Notification
void ATTN_REAL(12Notification6NotifyEv)(void* notification);
void ATTN_WRAP(12Notification6NotifyEv)(void* notification) {
  __tsan_release(notification);
  ATTN_REAL(12Notification6NotifyEv)(notification);
}

void ATTN_REAL_CONST(12Notification19WaitForNotificationEv)(void* notification);
void ATTN_WRAP_CONST(12Notification19WaitForNotificationEv)(
    void* notification) {
  ATTN_REAL_CONST(12Notification19WaitForNotificationEv)(notification);
  __tsan_acquire(notification);
}

// BlockingCounter
bool ATTN_REAL(15BlockingCounter14DecrementCountEv)(void* counter);
bool ATTN_WRAP(15BlockingCounter14DecrementCountEv)(void* counter) {
  __tsan_release(counter);
  return ATTN_REAL(15BlockingCounter14DecrementCountEv)(counter);
}

void ATTN_REAL(15BlockingCounter4WaitEv)(void* counter);
void ATTN_WRAP(15BlockingCounter4WaitEv)(void* counter) {
  ATTN_REAL(15BlockingCounter4WaitEv)(counter);
  __tsan_acquire(counter);
}

}  // extern "C"

// NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming)
