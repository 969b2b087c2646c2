// Requests from bytes and replies to bytes, without a copy of a tensor more
// than the one into its place.
//
// In: pass 1 (DecodeRequest) splits a message into its small fields, which
// protobuf's generated code parses with all of its rules (merging, any order,
// packed or not), and the places of its tensors' bytes. Pass 2 (CopyTensors)
// copies those bytes once, after the request was validated and admitted.
// Out: a reply (reply.h) whose tensors are borrowed from the task.
//
// Works on bytes alone, without gRPC, so that it can be fuzzed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/attention/request_spec.h"
#include "core/batching/task.h"
#include "core/engine/attention_task.h"
#include "core/kv_cache/session_spec.h"
#include "server/fragmented_bytes.h"
#include "server/reply.h"
#include "server/shared_memory.h"

namespace attn {

// The most requests that an AttendBatchRequest may hold: each costs memory of
// ours, however small it is on the wire.
inline constexpr int64_t kMaxBatchRequests = 4096;

// What requests are decoded from.
struct RequestBytes {
  FragmentedBytes& message;
  // For tensors that lie there. Null: the server shares no memory.
  const SharedMemory* shared_memory = nullptr;
};

// Where the bytes of a request's tensors lie in its message.
struct TensorPlaces {
  ByteRange query;
  ByteRange key;
  ByteRange value;
  ByteRange attn_mask;
  ByteRange rope_cos;
  ByteRange rope_sin;
};

// Which layer of which session a call works on.
struct SessionTarget {
  std::string session_id = {};
  int64_t layer = 0;
  std::optional<int64_t> expected_length = {};
  // Begins a session of this spec, in place of a living one of its id.
  std::optional<KvSpec> start = {};
  // Deletes the session once the call was answered with OK.
  bool ends = false;
};

inline constexpr size_t kMaxRequestIdBytes = 256;

// INVALID_ARGUMENT for the id of a request, `field`, beyond that.
absl::Status CheckId(std::string_view field, const std::string& id);

// The id as far as it may be echoed. Long ones are cut between UTF-8
// characters, and of a message that did not parse (`is_parsed`) only ASCII is
// sure to be UTF-8: a reply with something else could not be parsed.
std::string EchoedId(const std::string& id, bool is_parsed);

// A length as core counts it. Those beyond any layer's are cut, so that the sum
// of two stays in int64.
int64_t ToLength(uint64_t length);

// Where an output goes instead of into the reply.
struct SharedOutput {
  SharedMemory::Bytes bytes;
  // As the request named it.
  std::string region_id;
  uint64_t offset = 0;
};

struct DecodedRequest {
  // Not OK: the request is refused. request_id is set as far as it was found.
  absl::Status status;
  std::string request_id;
  RequestSpec spec;
  Priority priority = Priority::kUnspecified;
  // From arrival to the last moment for an answer, beside the call's deadline;
  // 0: none.
  Duration timeout{};
  std::optional<SessionTarget> session;
  TensorPlaces places;
  std::optional<SharedOutput> shared_output;
};

// An AppendKvRequest; spec has key, value, layout and params.rope alone.
struct DecodedAppend {
  absl::Status status;
  SessionTarget session;
  RequestSpec spec;
  TensorPlaces places;
};

// Pass 1 over the AttendRequest in `range`. Errors: INVALID_ARGUMENT for bytes
// that are no AttendRequest and for fields that the spec cannot hold. Tensors
// in shared memory become a part of the message.
DecodedRequest DecodeRequest(const RequestBytes& bytes, ByteRange range);

// Pass 1 over an AppendKvRequest. As above.
DecodedAppend DecodeAppend(const RequestBytes& bytes);

// Pass 1 over an AttendBatchRequest or a ForwardBatchRequest: where its
// requests lie. INVALID_ARGUMENT when there are more than kMaxBatchRequests.
absl::StatusOr<std::vector<ByteRange>> DecodeBatch(
    const FragmentedBytes& bytes);

// Pass 2: the tensors into the task's buffers, whose plan was made from the
// same request; but keys and values that go to a session.
void CopyTensors(const FragmentedBytes& bytes, const TensorPlaces& places,
                 AttentionTask& task);

// INVALID_ARGUMENT for a shared output that is not of the output's size.
absl::Status CheckSharedOutput(const DecodedRequest& decoded,
                               const AttentionPlan& plan);

// What became of one request.
struct AttendOutcome {
  absl::Status status{};
  std::string request_id{};
  // The finished task where status is OK. Shared with the reply's chunks.
  AttentionTaskPtr task{};
  // Holds the output once the task was computed; nothing: the reply does.
  std::optional<SharedOutput> shared_output{};
  // To decode, check and copy the request in.
  Duration receive_time{};
  // Message received to now.
  Duration total_time{};

  // Null where there is no task.
  const TaskTimes* times() const {
    return task == nullptr ? nullptr : &task->times();
  }
};

// The output to where the outcome's request wants it, if that is shared memory.
// REQUIRES: outcome.status is OK.
void CopySharedOutput(const AttendOutcome& outcome);

// The shape of the output, in the plan's layout.
Dims OutputDims(const AttentionPlan& plan);

// An AttendResponse. REQUIRES: outcome.status is OK.
Reply EncodeResponse(const AttendOutcome& outcome);

// An AttendResult: status, and the response or on failure the request_id alone.
Reply EncodeResult(const AttendOutcome& outcome);

// An AttendBatchResponse.
Reply EncodeBatchResponse(const std::vector<AttendOutcome>& outcomes);

}  // namespace attn
