// Unary calls of bytes that are encoded already: what serve.* figures send, so
// that a server is measured and not its client. The same for attnserve and for
// the echo server beside it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/message_lite.h"
#include "grpcpp/generic/generic_stub.h"

namespace attn::bench {

// What a load is made of: connection i sends requests[i].
struct RawLoad {
  std::string address;
  std::string method;  // "/attn.v1.AttentionService/Attend"
  std::vector<std::string> requests;
};

// Calls once on a connection of its own and parses the reply. Ends the process
// when the call fails: figures of failing calls mean nothing.
void CallOnce(const std::string& address, const std::string& method,
              const google::protobuf::MessageLite& request,
              google::protobuf::MessageLite& reply);
// The same; the bytes of the reply.
int64_t ReplyBytes(const RawLoad& load);

// Connections that are made once. Confined to one thread.
class Connections {
 public:
  explicit Connections(RawLoad load);
  ~Connections();

  // Seconds that `num_calls` calls of the first connection take, one after
  // another. Ends the process when one fails, as CallOnce does.
  double SecondsOfCalls(int num_calls);

  // Closed loop: every connection calls again as soon as it has its answer.
  // Answers a second. Ends the process when one is not OK.
  double CallsPerSecond(std::chrono::duration<double> time);

  // Open loop: `rate` calls a second, whoever has answered, each with this
  // deadline. Calls a second that came back OK before `time` was over; those
  // that do later, when no new ones come any more, are waited for alone.
  double GoodCallsPerSecond(double rate, std::chrono::milliseconds deadline,
                            std::chrono::duration<double> time);

 private:
  struct Call;
  void Start(size_t connection, std::chrono::system_clock::time_point deadline);
  // The next call that ended by then, or null.
  std::unique_ptr<Call> Next(std::chrono::system_clock::time_point until);
  // The next call that ends; the process dies unless it is OK.
  std::unique_ptr<Call> NextOk();
  void AwaitAll();

  const RawLoad load_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  std::vector<grpc::ByteBuffer> requests_;
  int64_t num_running_ = 0;
};

}  // namespace attn::bench
