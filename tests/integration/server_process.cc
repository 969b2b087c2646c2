#include "tests/integration/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
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

// Starts the program with its output going to `log_fd`.
pid_t Spawn(std::vector<std::string> arguments, int log_fd) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  ATTN_CHECK(pid >= 0);
  if (pid > 0) return pid;
  // A killed test must not leave a server that holds its caller's pipes.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(log_fd, STDOUT_FILENO);
  dup2(log_fd, STDERR_FILENO);
  execv(argv[0], argv.data());
  _exit(127);
}

}  // namespace

ServerProcess::ServerProcess(std::vector<std::string> flags) {
  std::vector<std::string> arguments = {ATTNSERVE_BINARY, "--grpc-address",
                                        "127.0.0.1:0", "--http-address",
                                        "127.0.0.1:0"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  int pipe_fds[2];
  ATTN_CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
  pid_ = Spawn(std::move(arguments), pipe_fds[1]);
  close(pipe_fds[1]);
  log_fd_ = pipe_fds[0];
  AwaitServing();
  // From here on nobody reads the log: it must not block the server.
  fcntl(log_fd_, F_SETPIPE_SZ, 1 << 20);
}

ServerProcess::~ServerProcess() {
  if (IsRunning()) {
    Signal(SIGKILL);
    Wait();
  }
  close(log_fd_);
}

void ServerProcess::AwaitServing() {
  constexpr int kPatienceMs = 20'000;
  char buffer[4096];
  while (http_address_.empty()) {
    pollfd news{.fd = log_fd_, .events = POLLIN, .revents = 0};
    const bool has_news = poll(&news, 1, kPatienceMs) == 1;
    const ssize_t size = has_news ? read(log_fd_, buffer, sizeof(buffer)) : 0;
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

void ServerProcess::Signal(int number) const { kill(pid_, number); }

bool ServerProcess::IsRunning() {
  if (is_reaped_) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == 0) return true;
  is_reaped_ = true;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return false;
}

int ServerProcess::Wait() {
  if (is_reaped_) return exit_code_;
  int status = 0;
  waitpid(pid_, &status, 0);
  is_reaped_ = true;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return exit_code_;
}

int64_t ServerProcess::ResidentBytes() const {
  std::ifstream statm("/proc/" + std::to_string(pid_) + "/statm");
  int64_t total = 0;
  int64_t resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGE_SIZE);
}

double ServerProcess::CpuSeconds() const {
  timespec time{};
  clockid_t clock = 0;
  ATTN_CHECK(clock_getcpuclockid(pid_, &clock) == 0 &&
             clock_gettime(clock, &time) == 0);
  return static_cast<double>(time.tv_sec) +
         static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace attn::test
