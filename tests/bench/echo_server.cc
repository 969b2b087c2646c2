#include "tests/bench/echo_server.h"

#include <unistd.h>

#include <cstdio>

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

EchoProcess::EchoProcess(int64_t reply_bytes)
    : process_({"/proc/self/exe", "--echo-server", std::to_string(reply_bytes)},
               test::ChildProcess::Piped::kStdout) {
  FILE* output = fdopen(dup(process_.output_fd()), "r");
  int port = 0;
  ATTN_CHECK(output != nullptr && std::fscanf(output, "%d", &port) == 1);
  std::fclose(output);
  address_ = "127.0.0.1:" + std::to_string(port);
}

}  // namespace attn::bench
