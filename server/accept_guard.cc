// accept4() as gRPC calls it, in the place of libc's: a program's own symbols
// come before those of its libraries.
//
// gRPC 1.51 stops to listen, for ever, once accept4() finds no descriptor left
// (CVE-2023-4785): whoever opens as many connections as the process may have
// descriptors has shut the port, and /livez still says that all is well. Here
// connections that would leave fewer than a reserve are closed at once, which
// their clients see; and a descriptor that is missing all the same reads as
// "no connection waits", after which gRPC listens on.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace attn {
namespace {

// For metrics, probes, snapshots, logs and what gRPC opens itself.
constexpr rlim_t kReserve = 64;

// Descriptors are given out lowest first, so one that high means that nearly
// all below it are taken.
bool IsInReserve(int descriptor) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t reserve = std::min(kReserve, limit.rlim_cur / 4);
  return static_cast<rlim_t>(descriptor) >= limit.rlim_cur - reserve;
}

bool IsWantOfResources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS ||
         error == ENOMEM;
}

}  // namespace
}  // namespace attn

extern "C" int accept4(int listener, sockaddr* address, socklen_t* size,
                       int flags) {
  while (true) {
    const int accepted =
        static_cast<int>(syscall(SYS_accept4, listener, address, size, flags));
    if (accepted < 0) {
      if (attn::IsWantOfResources(errno)) errno = EAGAIN;
      return -1;
    }
    if (!attn::IsInReserve(accepted)) return accepted;
    close(accepted);
  }
}
