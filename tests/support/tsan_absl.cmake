# Gives programs that link attn_test_support the wrappers of tsan_absl.cc.
file(STRINGS "/usr/include/absl/base/options.h" line
     REGEX "define ABSL_OPTION_INLINE_NAMESPACE_NAME ")
string(REGEX REPLACE ".*NAMESPACE_NAME +([A-Za-z0-9_]+).*" "\\1" name "${line}")
string(LENGTH "${name}" length)
set(namespace "${length}${name}")

add_library(attn_tsan_absl OBJECT tsan_absl.cc)
target_compile_definitions(attn_tsan_absl PRIVATE ATTN_ABSL_NAMESPACE=${namespace})
target_link_libraries(attn_tsan_absl PRIVATE absl::time)
target_sources(attn_test_support INTERFACE $<TARGET_OBJECTS:attn_tsan_absl>)
target_link_libraries(attn_test_support PUBLIC absl::synchronization)
foreach(symbol
    _ZN4absl${namespace}5Mutex4LockEv
    _ZN4absl${namespace}5Mutex6UnlockEv
    _ZN4absl${namespace}5Mutex10ReaderLockEv
    _ZN4absl${namespace}5Mutex12ReaderUnlockEv
    _ZN4absl${namespace}7CondVar4WaitEPNS0_5MutexE
    _ZN4absl${namespace}7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE
    _ZN4absl${namespace}12Notification6NotifyEv
    _ZNK4absl${namespace}12Notification19WaitForNotificationEv
    _ZN4absl${namespace}15BlockingCounter14DecrementCountEv
    _ZN4absl${namespace}15BlockingCounter4WaitEv)
  target_link_options(attn_test_support INTERFACE "LINKER:--wrap=${symbol}")
endforeach()
