#include "tests/bench/echo_server.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <vector>

#include "core/base/check.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace attn::bench {
namespace {

// One call: read, answer, end. The callback API, as attnserve's.
class EchoCall final : public grpc::ServerGenericBidiReactor {
 public:
  explicit EchoCall(const grpc::ByteBuffer& reply) : reply_(reply) {
    StartRead(&request_);
  }
  void OnReadDone(bool is_ok) override {
    if (!is_ok) return Finish(grpc::Status::CANCELLED);
    StartWriteAndFinish(&reply_, grpc::WriteOptions(), grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;
};

class EchoService final : public grpc::CallbackGenericService {
 public:
  explicit EchoService(int64_t reply_bytes) {
    const grpc::Slice slice(std::string(static_cast<size_t>(reply_bytes), 'x'));
    reply_ = grpc::ByteBuffer(&slice, 1);
  }
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext*) override {
    return new EchoCall(reply_);
  }

 private:
  grpc::ByteBuffer reply_;
};

}  // namespace

void ServeEcho(int64_t reply_bytes) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  EchoService service(reply_bytes);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.SetMaxReceiveMessageSize(-1);
  builder.RegisterCallbackGenericService(&service);
  const auto server = builder.BuildAndStart();
  ATTN_CHECK(server != nullptr);
  std::printf("%d\n", port);
  std::fflush(stdout);
  for (;;) pause();
}

EchoProcess::EchoProcess(int64_t reply_bytes) {
  int fds[2];
  ATTN_CHECK(pipe2(fds, O_CLOEXEC) == 0);
  std::string flag = "--echo-server";
  std::string bytes = std::to_string(reply_bytes);
  std::string self = "/proc/self/exe";
  std::vector<char*> argv = {self.data(), flag.data(), bytes.data(), nullptr};
  pid_ = fork();
  ATTN_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    dup2(fds[1], STDOUT_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(fds[1]);
  FILE* output = fdopen(fds[0], "r");
  int port = 0;
  ATTN_CHECK(std::fscanf(output, "%d", &port) == 1);
  std::fclose(output);
  address_ = "127.0.0.1:" + std::to_string(port);
}

EchoProcess::~EchoProcess() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace attn::bench
