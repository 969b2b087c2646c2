// For each row of the tables of rules (validation_table.h) a request that
// breaks that rule, for a server with --max-request-bytes 13MiB and
// --max-reply-bytes 64KiB.
#pragma once

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "attn/v1/attention.pb.h"
#include "attn/v1/layer.pb.h"

namespace attn::test {

// A request on its way to the server.
template <typename Request>
struct DraftOf {
  Request request;
  std::string trailing = {};  // Bytes sent after the request's own.
  // Above 0: sent in a batch behind so many empty ones.
  int num_before = 0;
};

// What a rule asks of the request that is to break it. No request has two of
// those other than kAny.
enum class Form {
  kAny,
  kPlain,      // The draft's layout and dtype.
  kBse,        // LAYOUT_BSE.
  kHalf,       // F16.
  kStateless,  // Without a session.
  kSession,    // With one.
};

template <typename Request>
struct Violation {
  std::string rule;  // As in the table.
  void (*apply)(DraftOf<Request>& draft);
  Form form = Form::kAny;
};

// A good one of F32 with query [1, 4, 3, 8], key [1, 2, 5, 8] and value
// [1, 2, 5, 6].
v1::AttendRequest GoodAttendRequest();
std::vector<Violation<v1::AttendRequest>> AttendViolations();

// A good one of F32 with hidden [1, 3, 32] and context [1, 5, 32], for llama/0
// of layer_fixture.h, gpt2/0 being loaded, too. It may name sessions of two
// layers with this layer's heads: "s", and "short", of 4 tokens at most; and
// "wide", with 4 KV heads.
v1::ForwardRequest GoodForwardRequest();
std::vector<Violation<v1::ForwardRequest>> ForwardViolations();

// What any request can be made to break.
inline constexpr size_t kMiB = size_t{1} << 20;
inline constexpr size_t kBeyondTheMessage = 14 * kMiB;
// Of all that is not tensor data.
inline constexpr size_t kBeyondSmallFields = 4 * kMiB + 64;

template <size_t Size, typename Request>
void UseIdOfSize(DraftOf<Request>& draft) {
  draft.request.mutable_request_id()->assign(Size, 'x');
}
template <typename Request>
void UseUnknownPriority(DraftOf<Request>& draft) {
  draft.request.set_priority(static_cast<v1::Priority>(9));
}
template <typename Request>
void CutOff(DraftOf<Request>& draft) {
  draft.trailing = "\xff";
}
template <typename Request>
void UseLargeBatch(DraftOf<Request>& draft) {
  draft.num_before = 4096;
}

template <typename Request>
std::vector<Violation<Request>> Joined(
    std::vector<std::vector<Violation<Request>>> parts) {
  std::vector<Violation<Request>> all;
  for (std::vector<Violation<Request>>& part : parts) {
    std::move(part.begin(), part.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace attn::test
