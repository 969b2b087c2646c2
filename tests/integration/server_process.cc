#include "tests/integration/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>

#include "absl/time/clock.h"
#include "client/cpp/attnctl/http_get.h"
#include "core/base/check.h"

namespace attn::test {
namespace {

// The value of `key=` in a log line; "" while it is not there.
std::string Field(const std::string& log, const std::string& key) {
  const size_t start = log.find(key + "=");
  if (start == std::string::npos) return "";
  const size_t value = start + key.size() + 1;
  const size_t end = log.find_first_of(" \n", value);
  return end == std::string::npos ? "" : log.substr(value, end - value);
}

std::vector<std::string> ServerCommand(const std::vector<std::string>& flags) {
  std::vector<std::string> command = {ATTNSERVE_BINARY, "--http-address",
                                      "127.0.0.1:0"};
  if (std::find(flags.begin(), flags.end(), "--grpc-address") == flags.end()) {
    command.insert(command.end(), {"--grpc-address", "127.0.0.1:0"});
  }
  command.insert(command.end(), flags.begin(), flags.end());
  return command;
}

}  // namespace

ServerProcess::ServerProcess(const std::vector<std::string>& flags)
    : process_(ServerCommand(flags), ChildProcess::Piped::kStdoutAndStderr) {
  AwaitServing();
  // From here on nobody reads the log: it must not block the server.
  fcntl(process_.output_fd(), F_SETPIPE_SZ, 1 << 20);
}

void ServerProcess::AwaitServing() {
  constexpr int kPatienceMs = 20'000;
  char buffer[4096];
  while (http_address_.empty()) {
    pollfd news{.fd = process_.output_fd(), .events = POLLIN, .revents = 0};
    const bool has_news = poll(&news, 1, kPatienceMs) == 1;
    const ssize_t size =
        has_news ? read(process_.output_fd(), buffer, sizeof(buffer)) : 0;
    if (size <= 0) std::fprintf(stderr, "server log:\n%s\n", log_.c_str());
    ATTN_CHECK(size > 0);
    log_.append(buffer, static_cast<size_t>(size));
    if (log_.find("serving") == std::string::npos) continue;
    grpc_address_ = Field(log_, "grpc");
    http_address_ = Field(log_, "http");
  }
}

std::unique_ptr<client::Client> ServerProcess::NewClient() const {
  client::ClientOptions options;
  options.address = grpc_address_;
  options.retry.max_attempts = 1;
  options.default_deadline = absl::Seconds(60);
  // One connection each: channels of one process share theirs otherwise.
  options.channel_arguments = {{"grpc.use_local_subchannel_pool", 1}};
  auto made = client::Client::Create(options);
  ATTN_CHECK(made.ok());
  // gRPC 1.51 now and then takes a connect that is under way for a failed one
  // (malloc overwrites errno in between), and then fails calls for a second.
  for (int attempt = 0; attempt < 200 && !(*made)->CheckHealth().ok();
       ++attempt) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  return *std::move(made);
}

std::string ServerProcess::Get(const std::string& path) const {
  const auto body = attnctl::HttpGet(http_address_, path, absl::Seconds(10));
  return body.ok() ? *body : "";
}

attnctl::MetricSet ServerProcess::Metrics() const {
  auto metrics = attnctl::MetricSet::Parse(Get("/metrics"));
  ATTN_CHECK(metrics.ok());
  return *std::move(metrics);
}

int64_t ServerProcess::ResidentBytes() const {
  std::ifstream statm("/proc/" + std::to_string(process_.pid()) + "/statm");
  int64_t total = 0;
  int64_t resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGE_SIZE);
}

double ServerProcess::CpuSeconds() const {
  timespec time{};
  clockid_t clock = 0;
  ATTN_CHECK(clock_getcpuclockid(process_.pid(), &clock) == 0 &&
             clock_gettime(clock, &time) == 0);
  return static_cast<double>(time.tv_sec) +
         static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace attn::test
