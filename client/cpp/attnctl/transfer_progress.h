// A line on stderr that says how far a transfer is, five times a second, on a
// terminal alone.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace attn::attnctl {

// "12.5 MiB, 250.0 MiB/s"
std::string RenderTransfer(int64_t bytes, absl::Duration elapsed);

// Draws when told of progress; clears its line at its end. Thread-compatible.
class TransferProgress {
 public:
  TransferProgress();
  ~TransferProgress();
  TransferProgress(const TransferProgress&) = delete;
  TransferProgress& operator=(const TransferProgress&) = delete;

  void Add(int64_t bytes);
  int64_t bytes() const { return bytes_; }

 private:
  const bool is_on_;
  const absl::Time start_;
  absl::Time drawn_;
  int64_t bytes_ = 0;
};

}  // namespace attn::attnctl
