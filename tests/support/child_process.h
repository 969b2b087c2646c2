// A program that runs beside a test and ends with it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace attn::test {

// Confined to one thread, which must outlive it: the system kills the program
// when the thread that started it ends, even if it is killed.
class ChildProcess {
 public:
  // What of the program goes into output_fd(); the rest goes where the test's
  // own does.
  enum class Piped { kStdout, kStdoutAndStderr };

  // Starts arguments[0]. One that cannot be executed leaves with exit code 127.
  ChildProcess(std::vector<std::string> arguments, Piped piped);
  // Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // The reading end of its output, closed by the destructor.
  int output_fd() const { return output_fd_; }

  void Signal(int number) const;
  bool IsRunning();
  // The exit code, or -1 for death by a signal; waits for it.
  int Wait();

 private:
  // waitpid with these options; false where it does not say that it ended.
  bool Reap(int options);

  pid_t pid_ = -1;
  int output_fd_ = -1;
  bool is_reaped_ = false;
  int exit_code_ = -1;
};

}  // namespace attn::test
