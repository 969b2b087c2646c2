#include "tests/bench/raw_calls.h"

#include <cstdio>
#include <utility>

#include "core/base/check.h"
#include "grpcpp/channel.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace attn::bench {
namespace {

using SystemClock = std::chrono::system_clock;
using Seconds = std::chrono::duration<double>;

// No call of a figure takes as long.
SystemClock::time_point Far() {
  return SystemClock::now() + std::chrono::seconds(60);
}

std::unique_ptr<grpc::GenericStub> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  // One connection each: channels of one process share theirs otherwise.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  const auto channel = grpc::CreateCustomChannel(
      address, grpc::InsecureChannelCredentials(), arguments);
  ATTN_CHECK(
      channel->WaitForConnected(SystemClock::now() + std::chrono::seconds(10)));
  return std::make_unique<grpc::GenericStub>(channel);
}

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  ATTN_CHECK(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

void CheckOk(const grpc::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "attn_bench: a call ended with code %d: %s\n",
               static_cast<int>(status.error_code()),
               status.error_message().c_str());
  std::abort();
}

std::string CallBytes(const std::string& address, const std::string& method,
                      const std::string& request) {
  const auto stub = Connect(address);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto call =
      stub->PrepareUnaryCall(&context, method, BufferOf(request), &queue);
  call->StartCall();
  grpc::ByteBuffer reply;
  grpc::Status status;
  call->Finish(&reply, &status, nullptr);
  void* tag = nullptr;
  bool is_ok = false;
  ATTN_CHECK(queue.Next(&tag, &is_ok));
  CheckOk(status);
  return BytesOf(reply);
}

}  // namespace

void CallOnce(const std::string& address, const std::string& method,
              const google::protobuf::MessageLite& request,
              google::protobuf::MessageLite& reply) {
  ATTN_CHECK(reply.ParseFromString(
      CallBytes(address, method, request.SerializeAsString())));
}

int64_t ReplyBytes(const RawLoad& load) {
  return std::ssize(
      CallBytes(load.address, load.method, load.requests.front()));
}

struct Connections::Call {
  size_t connection = 0;
  grpc::ClientContext context;
  grpc::ByteBuffer reply;
  grpc::Status status;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
};

Connections::Connections(RawLoad load) : load_(std::move(load)) {
  for (const std::string& request : load_.requests) {
    stubs_.push_back(Connect(load_.address));
    requests_.push_back(BufferOf(request));
  }
}

Connections::~Connections() { queue_.Shutdown(); }

void Connections::Start(size_t connection, SystemClock::time_point deadline) {
  auto call = std::make_unique<Call>();
  call->connection = connection;
  call->context.set_deadline(deadline);
  call->reader = stubs_[connection]->PrepareUnaryCall(
      &call->context, load_.method, requests_[connection], &queue_);
  call->reader->StartCall();
  call->reader->Finish(&call->reply, &call->status, call.get());
  ++num_running_;
  static_cast<void>(call.release());  // Next takes it back.
}

std::unique_ptr<Connections::Call> Connections::Next(
    SystemClock::time_point until) {
  void* tag = nullptr;
  bool is_ok = false;
  if (queue_.AsyncNext(&tag, &is_ok, until) !=
      grpc::CompletionQueue::GOT_EVENT) {
    return nullptr;
  }
  --num_running_;
  return std::unique_ptr<Call>(static_cast<Call*>(tag));
}

std::unique_ptr<Connections::Call> Connections::NextOk() {
  auto call = Next(Far());
  ATTN_CHECK(call != nullptr);
  CheckOk(call->status);
  return call;
}

void Connections::AwaitAll() {
  while (num_running_ > 0) Next(Far());
}

double Connections::SecondsOfCalls(int num_calls) {
  const auto start = SystemClock::now();
  for (int i = 0; i < num_calls; ++i) {
    Start(0, Far());
    NextOk();
  }
  return Seconds(SystemClock::now() - start).count();
}

double Connections::CallsPerSecond(std::chrono::duration<double> time) {
  for (size_t i = 0; i < stubs_.size(); ++i) Start(i, Far());
  const auto start = SystemClock::now();
  const auto end =
      start + std::chrono::duration_cast<SystemClock::duration>(time);
  int64_t num_answers = 0;
  while (SystemClock::now() < end) {
    Start(NextOk()->connection, Far());
    ++num_answers;
  }
  const Seconds taken = SystemClock::now() - start;
  AwaitAll();
  return static_cast<double>(num_answers) / taken.count();
}

double Connections::GoodCallsPerSecond(double rate,
                                       std::chrono::milliseconds deadline,
                                       std::chrono::duration<double> time) {
  const auto start = SystemClock::now();
  const auto after = [start](double seconds) {
    return start +
           std::chrono::duration_cast<SystemClock::duration>(Seconds(seconds));
  };
  int64_t num_good = 0;
  const auto count_until = [&](SystemClock::time_point until) {
    while (SystemClock::now() < until) {
      const auto call = Next(until);
      if (call != nullptr && call->status.ok()) ++num_good;
    }
  };
  const auto num_calls = static_cast<int64_t>(rate * time.count());
  for (int64_t i = 0; i < num_calls; ++i) {
    const auto due = after(static_cast<double>(i) / rate);
    count_until(due);
    Start(static_cast<size_t>(i) % stubs_.size(), due + deadline);
  }
  count_until(after(time.count()));
  AwaitAll();
  return static_cast<double>(num_good) / time.count();
}

}  // namespace attn::bench
