#include "client/cpp/attnctl/transfer_progress.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace attn::attnctl {
namespace {

constexpr absl::Duration kPeriod = absl::Milliseconds(200);
constexpr double kMebibyte = 1048576.0;

}  // namespace

std::string RenderTransfer(int64_t bytes, absl::Duration elapsed) {
  const double mebibytes = static_cast<double>(bytes) / kMebibyte;
  const double seconds = absl::ToDoubleSeconds(elapsed);
  return absl::StrFormat("%.1f MiB, %.1f MiB/s", mebibytes,
                         seconds > 0 ? mebibytes / seconds : 0.0);
}

TransferProgress::TransferProgress()
    : is_on_(isatty(STDERR_FILENO) == 1), start_(absl::Now()), drawn_(start_) {}

TransferProgress::~TransferProgress() {
  if (is_on_) {
    std::fputs("\r\x1b[K", stderr);
  }
}

void TransferProgress::Add(int64_t bytes) {
  bytes_ += bytes;
  const absl::Time now = absl::Now();
  if (!is_on_ || now - drawn_ < kPeriod) {
    return;
  }
  drawn_ = now;
  std::fprintf(stderr, "\r%s\x1b[K",
               RenderTransfer(bytes_, now - start_).c_str());
}

}  // namespace attn::attnctl
