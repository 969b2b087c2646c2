// Bytes over gRPC: unary calls through the callback API and bidirectional
// streams, on a generic stub, so that tensors go from where they lie and
// replies are parsed once. transport.cc and channel_credentials include gRPC,
// no other file does.
// Internal to the client.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cpp/options.h"
#include "client/cpp/wire_message.h"

namespace google::protobuf {
class MessageLite;
}

namespace attn::client {

// Resolved options of one call.
struct CallSettings {
  absl::Time deadline = absl::InfiniteFuture();
  bool wait_for_ready = false;
  bool may_retry = true;
  Metadata metadata;
  Metadata* trailing_metadata = nullptr;  // As CallOptions has it.
};

// Something that can be cancelled from any thread, also when it has ended.
class Cancellable {
 public:
  virtual ~Cancellable() = default;
  virtual void Cancel() = 0;
};

// A bidirectional stream. One thread may write while another one reads; Cancel
// may come from any thread.
class ByteStream : public Cancellable {
 public:
  // Blocks until gRPC took the message (flow control); false: stream broken.
  virtual bool Write(WireMessage message) = 0;
  // Blocks for the next message; false: no more, or one that does not parse.
  virtual bool Read(google::protobuf::MessageLite& message) = 0;
  virtual void WritesDone() = 0;
  // Blocks for the final status; further calls repeat it. REQUIRES: no Write or
  // Read in another thread, and none afterwards.
  virtual absl::Status Finish() = 0;
};

// Thread-safe.
class Transport {
 public:
  // Errors: INVALID_ARGUMENT for options that make no channel.
  static absl::StatusOr<std::unique_ptr<Transport>> Create(
      const ClientOptions& options);

  // Cancels what runs and waits for its callbacks.
  virtual ~Transport() = default;

  // Starts a call. `done` runs once, on a gRPC thread, after `reply` was
  // filled; both `reply` and the transport must live until it has returned.
  // `method` is a literal ("/attn.v1.AttentionService/Attend").
  virtual std::shared_ptr<Cancellable> Call(
      const char* method, WireMessage request, const CallSettings& settings,
      google::protobuf::MessageLite* reply,
      std::function<void(absl::Status)> done) = 0;

  // Opens a stream; it must end before the transport.
  virtual std::unique_ptr<ByteStream> OpenStream(
      const char* method, const CallSettings& settings) = 0;
};

}  // namespace attn::client
