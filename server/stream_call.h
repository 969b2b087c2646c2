// The reactors of streams: many requests on their way at once. AttendStreamCall
// here answers those of one session in the order in which they came, others as
// they finish; ModelInfer's stream (inference/infer_stream_call.h) all in the
// order in which they came. Each owns itself until gRPC's OnDone.
//
// Invariants:
//   1. At most one read and one write are under way.
//   2. Reading pauses while kMaxInFlight requests are under way or their
//      results unsent, or kMaxUnsentBytes of results are, so that a client that
//      does not read is held back by flow control instead of filling our
//      memory.
//   3. gRPC is never called with the lock held: it may call back inline.
//   4. Finish comes after the last flow has ended: they call back.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/tenant/tenant.h"
#include "grpcpp/support/server_callback.h"
#include "server/call_trace.h"
#include "server/fragmented_bytes.h"
#include "server/reply.h"
#include "server/request_flow.h"
#include "server/result_order.h"
#include "server/rpc_recorder.h"

namespace attn {

// A message on its way out; moves without a copy of gRPC's.
struct OutgoingMessage {
  OutgoingMessage() = default;
  OutgoingMessage(OutgoingMessage&& other) noexcept {
    bytes.Swap(&other.bytes);
  }
  OutgoingMessage& operator=(OutgoingMessage&& other) noexcept {
    bytes.Swap(&other.bytes);
    return *this;
  }

  grpc::ByteBuffer bytes;
};

class StreamCall
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  static constexpr size_t kMaxInFlight = 256;
  static constexpr int64_t kMaxUnsentBytes = int64_t{64} << 20;

  StreamCall(const AttendContext& context, RpcMethod method, Tenant& tenant,
             grpc::CallbackServerContext& call);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { delete this; }

 protected:
  // Once, when the derived class is made.
  void StartReading();

  // Runs the request in `bytes`, which live until it returns, and sees to it
  // that Store, or End, is called once with `id`.
  virtual void RunMessage(FragmentedBytes& bytes, uint64_t id,
                          RequestFlow& flow) = 0;

  // RESOURCE_EXHAUSTED for a message beyond --max-request-bytes.
  absl::Status CheckSize(const FragmentedBytes& bytes) const;
  // Results of one lane are sent in the order of their requests. From
  // RunMessage alone, before anybody can store the result of `id`.
  void KeepOrder(uint64_t id, std::string_view lane);
  // The result of request `id`. Not to be called from elsewhere.
  void Store(uint64_t id, Reply result);
  // Request `id` failed, and the stream with it: what is under way is
  // cancelled, what is unsent is dropped. The first status is the stream's.
  void End(uint64_t id, const absl::Status& status);

  const AttendContext& context_;
  Tenant& tenant_;
  CallTrace trace_;

 private:
  using Flows = std::vector<std::shared_ptr<RequestFlow>>;

  // What to do next, decided under the lock and done without it.
  struct Next {
    bool read = false;
    bool write = false;
    bool finish = false;
    absl::Status status{};
  };

  void RunIncoming();
  Flows AllFlows() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Next Decide() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(const Next& next);

  grpc::CallbackServerContext& call_;
  const TimePoint deadline_;

  grpc::ByteBuffer incoming_;  // gRPC's while a read is under way.
  grpc::ByteBuffer outgoing_;  // gRPC's while a write is under way.

  absl::Mutex mutex_;
  RpcRecorder recorder_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  // Requests under way. Shared with the engine's callbacks.
  std::map<uint64_t, std::shared_ptr<RequestFlow>> flows_
      ABSL_GUARDED_BY(mutex_);
  ResultOrder<OutgoingMessage> order_ ABSL_GUARDED_BY(mutex_);
  // Whose turn has come.
  std::deque<OutgoingMessage> results_ ABSL_GUARDED_BY(mutex_);
  // Of results_ and those that order_ holds.
  int64_t unsent_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool reads_ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_broken_ ABSL_GUARDED_BY(mutex_) = false;   // The client is gone.
  absl::Status end_status_ ABSL_GUARDED_BY(mutex_);  // Of End.
  bool is_finished_ ABSL_GUARDED_BY(mutex_) = false;
};

class AttendStreamCall final : public StreamCall {
 public:
  AttendStreamCall(const AttendContext& context, Tenant& tenant,
                   grpc::CallbackServerContext& call);

 private:
  void RunMessage(FragmentedBytes& bytes, uint64_t id,
                  RequestFlow& flow) override;
};

}  // namespace attn
