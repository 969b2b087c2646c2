// The reactor of AttendStream: many requests on their way at once, results in
// the order in which they finish. Owns itself until gRPC's OnDone.
//
// Invariants:
//   1. At most one read and one write are under way.
//   2. Reading pauses while kMaxInFlight requests are under way or their
//      results unsent, or kMaxUnsentBytes of results are, so that a client that
//      does not read is held back by flow control instead of filling our
//      memory.
//   3. gRPC is never called with the lock held: it may call back inline.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/support/server_callback.h"
#include "server/attend_flow.h"
#include "server/rpc_recorder.h"

namespace attn {

class AttendStreamCall final
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  static constexpr size_t kMaxInFlight = 256;
  static constexpr int64_t kMaxUnsentBytes = int64_t{64} << 20;

  AttendStreamCall(const AttendContext& context,
                   grpc::CallbackServerContext& call);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { delete this; }

 private:
  // What to do next, decided under the lock and done without it.
  struct Next {
    bool read = false;
    bool write = false;
    bool finish = false;
  };

  void RunMessage();
  void Store(uint64_t id, const AttendOutcome& outcome);
  Next Decide() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(const Next& next);

  const AttendContext& context_;
  const TimePoint deadline_;

  grpc::ByteBuffer incoming_;  // gRPC's while a read is under way.
  grpc::ByteBuffer outgoing_;  // gRPC's while a write is under way.

  absl::Mutex mutex_;
  RpcRecorder recorder_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  // Requests under way. Shared with the engine's callbacks.
  std::map<uint64_t, std::shared_ptr<AttendFlow>> flows_
      ABSL_GUARDED_BY(mutex_);
  std::deque<grpc::ByteBuffer> results_ ABSL_GUARDED_BY(mutex_);
  int64_t unsent_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // Of results_.
  bool is_reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool reads_ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_broken_ ABSL_GUARDED_BY(mutex_) = false;  // The client is gone.
  bool is_finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attn
