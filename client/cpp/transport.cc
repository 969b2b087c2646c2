#include "client/cpp/transport.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <limits>
#include <optional>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "client/cpp/channel_credentials.h"
#include "client/cpp/error_details.h"
#include "client/cpp/service_config.h"

namespace attn::client {
namespace {

using google::protobuf::MessageLite;

absl::Status FromGrpc(const grpc::Status& status) {
  return MakeStatus(status.error_code(), status.error_message(),
                    status.error_details());
}

// The slices keep the owners, also past a cancelled call.
grpc::ByteBuffer ToByteBuffer(WireMessage message) {
  std::vector<grpc::Slice> slices;
  for (WireMessage::Segment& segment : message.TakeSegments()) {
    auto owner =
        std::make_unique<std::shared_ptr<const void>>(std::move(segment.owner));
    slices.emplace_back(
        const_cast<char*>(segment.bytes.data()), segment.bytes.size(),
        [](void* held) {
          std::unique_ptr<std::shared_ptr<const void>>(
              static_cast<std::shared_ptr<const void>*>(held));
        },
        owner.get());
    static_cast<void>(owner.release());
  }
  return {slices.data(), slices.size()};
}

// REQUIRES: `buffer` holds a message. Copies each tensor once, out of the
// slices.
bool Parse(grpc::ByteBuffer& buffer, MessageLite& message) {
  if (buffer.Length() == 0) {
    message.Clear();
    return true;
  }
  grpc::ProtoBufferReader reader(&buffer);
  return reader.status().ok() && message.ParseFromZeroCopyStream(&reader);
}

void Apply(const CallSettings& settings, grpc::ClientContext& context) {
  if (settings.deadline != absl::InfiniteFuture()) {
    context.set_deadline(absl::ToChronoTime(settings.deadline));
  }
  context.set_wait_for_ready(settings.wait_for_ready);
  for (const auto& [key, value] : settings.metadata) {
    context.AddMetadata(key, value);
  }
}

void TakeTrailersOfEnded(const grpc::ClientContext& call, Metadata* trailers) {
  if (trailers == nullptr) return;
  for (const auto& [k, v] : call.GetServerTrailingMetadata()) {
    trailers->push_back({{k.data(), k.size()}, {v.data(), v.size()}});
  }
}

// Calls that still exist. Their contexts refer to the channel, and gRPC's own
// callback threads must not drop the last reference to it: they would have to
// join themselves. Thread-safe.
class InFlight {
 public:
  void Add(const std::shared_ptr<Cancellable>& call) {
    const absl::MutexLock lock(&mutex_);
    calls_[call.get()] = call;
  }
  void Remove(Cancellable* call) {
    const absl::MutexLock lock(&mutex_);
    calls_.erase(call);
  }
  void CancelAllAndWait() {
    // Without the lock: gRPC may complete a call while it is being cancelled.
    for (const std::shared_ptr<Cancellable>& call : Calls()) {
      call->Cancel();
    }
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](CallMap* calls) { return calls->empty(); }, &calls_));
  }

 private:
  using CallMap = std::unordered_map<Cancellable*, std::weak_ptr<Cancellable>>;

  std::vector<std::shared_ptr<Cancellable>> Calls() {
    const absl::MutexLock lock(&mutex_);
    std::vector<std::shared_ptr<Cancellable>> calls;
    for (const auto& [pointer, call] : calls_) {
      if (auto living = call.lock()) {
        calls.push_back(std::move(living));
      }
    }
    return calls;
  }

  absl::Mutex mutex_;
  CallMap calls_ ABSL_GUARDED_BY(mutex_);
};

// A call's place in the set, given up when it is destroyed.
class InFlightPlace {
 public:
  InFlightPlace(std::shared_ptr<InFlight> set, Cancellable* call)
      : set_(std::move(set)), call_(call) {}
  ~InFlightPlace() { set_->Remove(call_); }
  InFlightPlace(const InFlightPlace&) = delete;
  InFlightPlace& operator=(const InFlightPlace&) = delete;

  InFlight& set() { return *set_; }

 private:
  const std::shared_ptr<InFlight> set_;
  Cancellable* const call_;
};

// Kept alive by its own completion callback; the in-flight set outlives the
// transport because a call may still hold it while that is being destroyed.
class UnaryCall : public Cancellable,
                  public std::enable_shared_from_this<UnaryCall> {
 public:
  UnaryCall(std::shared_ptr<InFlight> in_flight, MessageLite* reply,
            std::function<void(absl::Status)> done)
      : place_(std::move(in_flight), this),
        reply_(reply),
        done_(std::move(done)) {}

  void Start(grpc::GenericStub& stub, const char* method, WireMessage request,
             const CallSettings& settings) {
    Apply(settings, context_);
    trailing_metadata_ = settings.trailing_metadata;
    request_ = ToByteBuffer(std::move(request));
    place_.set().Add(shared_from_this());
    stub.UnaryCall(&context_, method, grpc::StubOptions(), &request_,
                   &response_,
                   [self = shared_from_this()](const grpc::Status& status) {
                     self->Complete(status);
                   });
  }

  void Cancel() override { context_.TryCancel(); }

 private:
  void Complete(const grpc::Status& status) {
    TakeTrailersOfEnded(context_, trailing_metadata_);
    absl::Status outcome = FromGrpc(status);
    if (outcome.ok() && !Parse(response_, *reply_)) {
      outcome = absl::InternalError("the reply does not parse");
    }
    request_.Clear();
    response_.Clear();
    std::exchange(done_, nullptr)(std::move(outcome));
  }

  InFlightPlace place_;  // First, so that it goes after the context.
  MessageLite* const reply_;
  std::function<void(absl::Status)> done_;
  Metadata* trailing_metadata_ = nullptr;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
};

// Turns the reactor's events into blocking calls. A hold keeps the call open
// for operations from outside the reactor until Finish.
class ReactorStream
    : public ByteStream,
      public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  ReactorStream(grpc::GenericStub& stub, const char* method,
                const CallSettings& settings)
      : trailing_metadata_(settings.trailing_metadata) {
    Apply(settings, context_);
    stub.PrepareBidiStreamingCall(&context_, method, grpc::StubOptions(), this);
    AddHold();
    StartCall();
  }

  ~ReactorStream() override {
    if (!finished_) {
      context_.TryCancel();
      RemoveHold();
      static_cast<void>(AwaitDone());
    }
  }

  bool Write(WireMessage message) override {
    write_buffer_ = ToByteBuffer(std::move(message));
    {
      const absl::MutexLock lock(&mutex_);
      write_ok_.reset();
    }
    StartWrite(&write_buffer_);
    return Wait(write_ok_);
  }

  bool Read(MessageLite& message) override {
    {
      const absl::MutexLock lock(&mutex_);
      read_ok_.reset();
    }
    read_buffer_.Clear();
    StartRead(&read_buffer_);
    return Wait(read_ok_) && Parse(read_buffer_, message);
  }

  void WritesDone() override { StartWritesDone(); }

  absl::Status Finish() override {
    if (!finished_) {
      finished_ = true;
      RemoveHold();
    }
    return AwaitDone();
  }

  void Cancel() override { context_.TryCancel(); }

  void OnWriteDone(bool ok) override { Set(write_ok_, ok); }
  void OnReadDone(bool ok) override { Set(read_ok_, ok); }
  void OnDone(const grpc::Status& status) override {
    TakeTrailersOfEnded(context_, trailing_metadata_);
    const absl::MutexLock lock(&mutex_);
    status_ = FromGrpc(status);
  }

 private:
  void Set(std::optional<bool>& flag, bool ok) {
    const absl::MutexLock lock(&mutex_);
    flag = ok;
  }
  bool Wait(std::optional<bool>& flag) {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](std::optional<bool>* f) { return f->has_value(); }, &flag));
    return *flag;
  }
  absl::Status AwaitDone() {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](std::optional<absl::Status>* s) { return s->has_value(); },
        &status_));
    return *status_;
  }

  Metadata* const trailing_metadata_;
  grpc::ClientContext context_;
  grpc::ByteBuffer write_buffer_;  // The writer's.
  grpc::ByteBuffer read_buffer_;   // The reader's.
  bool finished_ = false;

  absl::Mutex mutex_;  // Guards what follows.
  std::optional<bool> write_ok_;
  std::optional<bool> read_ok_;
  std::optional<absl::Status> status_;
};

class GrpcTransport : public Transport {
 public:
  GrpcTransport(const ClientOptions& options,
                std::shared_ptr<grpc::ChannelCredentials> credentials,
                const grpc::ChannelArguments& arguments)
      : address_(options.address),
        token_(options.token),
        credentials_(std::move(credentials)),
        arguments_(arguments),
        retrying_(Connect(arguments)),
        in_flight_(std::make_shared<InFlight>()) {}

  ~GrpcTransport() override { in_flight_->CancelAllAndWait(); }

  std::shared_ptr<Cancellable> Call(
      const char* method, WireMessage request, const CallSettings& settings,
      MessageLite* reply, std::function<void(absl::Status)> done) override {
    auto call = std::make_shared<UnaryCall>(in_flight_, reply, std::move(done));
    call->Start(settings.may_retry ? retrying_ : Once(), method,
                std::move(request), WithToken(settings));
    return call;
  }

  std::unique_ptr<ByteStream> OpenStream(
      const char* method, const CallSettings& settings) override {
    return std::make_unique<ReactorStream>(retrying_, method,
                                           WithToken(settings));
  }

 private:
  grpc::GenericStub Connect(const grpc::ChannelArguments& arguments) const {
    return grpc::GenericStub(
        grpc::CreateCustomChannel(address_, credentials_, arguments));
  }

  CallSettings WithToken(CallSettings settings) const {
    const std::string token = token_ ? token_() : "";
    if (!token.empty()) {
      settings.metadata.emplace_back("authorization", "Bearer " + token);
    }
    return settings;
  }

  // gRPC switches retries off by channel alone, so calls that must not be
  // repeated have one of their own, made when first needed.
  grpc::GenericStub& Once() {
    const absl::MutexLock lock(&mutex_);
    if (!once_.has_value()) {
      grpc::ChannelArguments arguments = arguments_;
      arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
      once_.emplace(Connect(arguments));
    }
    return *once_;
  }

  const std::string address_;
  const std::function<std::string()> token_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  const grpc::ChannelArguments arguments_;
  grpc::GenericStub retrying_;
  const std::shared_ptr<InFlight> in_flight_;
  absl::Mutex mutex_;
  std::optional<grpc::GenericStub> once_ ABSL_GUARDED_BY(mutex_);
};

absl::Status CheckBytes(const char* name, int64_t bytes) {
  if (bytes < 1 || bytes > std::numeric_limits<int>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " must be 1..2^31 - 1; got ", bytes));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Transport>> Transport::Create(
    const ClientOptions& options) {
  if (options.address.empty()) {
    return absl::InvalidArgumentError("address must not be empty");
  }
  const int64_t message_bytes = options.max_message_bytes;
  const int64_t retry_bytes = options.retry.buffer_bytes != 0
                                  ? options.retry.buffer_bytes
                                  : message_bytes;
  absl::Status checked = CheckBytes("max_message_bytes", message_bytes);
  checked.Update(CheckBytes("retry.buffer_bytes", retry_bytes));
  absl::StatusOr<std::string> config = RetryServiceConfig(options.retry);
  checked.Update(config.status());
  if (!checked.ok()) {
    return checked;
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(message_bytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(message_bytes));
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE,
                   static_cast<int>(retry_bytes));
  // A connect that failed makes every call fail until the next one, by gRPC's
  // default a second later: longer than all our attempts together. gRPC 1.51
  // fails about one first connect in 900 to a server that is there (an
  // allocation between connect() and the look at errno overwrites
  // EINPROGRESS). 100 ms is the least it takes. The backoff grows as before;
  // MIN_RECONNECT_BACKOFF is the time a connect may take and stays at 20 s.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // The retry policy is ours, not something that DNS may replace.
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  if (config->empty()) {
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  } else {
    arguments.SetServiceConfigJSON(*config);
  }
  auto credentials = MakeCredentials(options.tls, arguments);
  if (!credentials.ok()) {
    return credentials.status();
  }
  for (const auto& [name, value] : options.channel_arguments) {
    if (const int* number = std::get_if<int>(&value)) {
      arguments.SetInt(name, *number);
    } else {
      arguments.SetString(name, std::get<std::string>(value));
    }
  }
  return std::make_unique<GrpcTransport>(options, *std::move(credentials),
                                         arguments);
}

}  // namespace attn::client
