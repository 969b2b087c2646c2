// Requests from bytes and replies to bytes, without a copy of a tensor more
// than the one into its place.
//
// In: pass 1 (DecodeRequest) splits a message into its small fields, which
// protobuf's generated code parses with all of its rules (merging, any order,
// packed or not), and the places of its tensors' bytes. Pass 2 (CopyTensors)
// copies those bytes once, after the request was validated and admitted.
// Out: a reply is a list of chunks, small ones made here and large ones
// borrowed from the task.
//
// Works on bytes alone, without gRPC, so that it can be fuzzed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/attention/request_spec.h"
#include "core/batching/task.h"
#include "core/engine/attention_task.h"
#include "server/fragmented_bytes.h"
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
};

// A length as core counts it. Those beyond any layer's are cut, so that the sum
// of two stays in int64.
int64_t ToLength(uint64_t length);

struct DecodedRequest {
  // Not OK: the request is refused. request_id is set as far as it was found.
  absl::Status status;
  std::string request_id;
  RequestSpec spec;
  Priority priority = Priority::kUnspecified;
  std::optional<SessionTarget> session;
  TensorPlaces places;
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

// Pass 1 over an AttendBatchRequest: where its requests lie. INVALID_ARGUMENT
// when there are more than kMaxBatchRequests.
absl::StatusOr<std::vector<ByteRange>> DecodeBatch(
    const FragmentedBytes& bytes);

// Pass 2: the tensors into the task's buffers, whose plan was made from the
// same request; but keys and values that go to a session.
void CopyTensors(const FragmentedBytes& bytes, const TensorPlaces& places,
                 AttentionTask& task);

// A piece of a reply: its own bytes, or borrowed ones that `owner` keeps alive.
struct ReplyChunk {
  std::string text{};
  const std::byte* data = nullptr;  // Null: text.
  int64_t data_bytes = 0;
  std::shared_ptr<const void> owner{};

  int64_t size() const {
    return data == nullptr ? static_cast<int64_t>(text.size()) : data_bytes;
  }
};
using Reply = std::vector<ReplyChunk>;

int64_t ReplySize(const Reply& reply);

// What became of one request.
struct AttendOutcome {
  absl::Status status{};
  std::string request_id{};
  // The finished task where status is OK. Shared with the reply's chunks.
  AttentionTaskPtr task{};
  // Message received to now.
  Duration total_time{};
};

// An AttendResponse. REQUIRES: outcome.status is OK.
Reply EncodeResponse(const AttendOutcome& outcome);

// An AttendResult: status, and the response or on failure the request_id alone.
Reply EncodeResult(const AttendOutcome& outcome);

// An AttendBatchResponse.
Reply EncodeBatchResponse(const std::vector<AttendOutcome>& outcomes);

}  // namespace attn
