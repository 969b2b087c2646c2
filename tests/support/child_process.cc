#include "tests/support/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "core/base/check.h"

namespace attn::test {

ChildProcess::ChildProcess(std::vector<std::string> arguments, Piped piped) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  int pipe_fds[2];
  ATTN_CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
  pid_ = fork();
  ATTN_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    // A killed test must not leave a program that holds its caller's pipes.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(pipe_fds[1], STDOUT_FILENO);
    if (piped == Piped::kStdoutAndStderr) dup2(pipe_fds[1], STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(pipe_fds[1]);
  output_fd_ = pipe_fds[0];
}

ChildProcess::~ChildProcess() {
  if (IsRunning()) {
    Signal(SIGKILL);
    Wait();
  }
  close(output_fd_);
}

void ChildProcess::Signal(int number) const { kill(pid_, number); }

bool ChildProcess::IsRunning() { return !Reap(WNOHANG); }

int ChildProcess::Wait() {
  Reap(0);
  return exit_code_;
}

bool ChildProcess::Reap(int options) {
  if (is_reaped_) return true;
  int status = 0;
  if (waitpid(pid_, &status, options) == 0) return false;
  is_reaped_ = true;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return true;
}

}  // namespace attn::test
