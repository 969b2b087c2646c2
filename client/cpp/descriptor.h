// An open file descriptor that closes itself. Internal to the client.
#pragma once

#include <unistd.h>

#include <utility>

namespace attn::client {

// Thread-compatible.
class Descriptor {
 public:
  Descriptor() = default;
  // Takes `fd`; negative: none.
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (is_open()) close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  bool is_open() const { return fd_ >= 0; }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace attn::client
