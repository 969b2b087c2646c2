// For each row of the table of rules (validation_table.h) a request that breaks
// that rule.
#pragma once

#include <string>
#include <vector>

#include "attn/v1/attention.pb.h"

namespace attn::test {

// A request on its way to the server. Begins as a good one of F32 with query
// [1, 4, 3, 8], key [1, 2, 5, 8] and value [1, 2, 5, 6].
struct Draft {
  Draft();

  v1::AttendRequest request;
  std::string trailing;  // Bytes sent after the request's own.
  // Above 0: sent in an AttendBatch behind so many empty ones.
  int num_before = 0;
};

// What a rule asks of the request that is to break it. No request has two of
// the last three.
enum class Form {
  kAny,
  kPlain,  // The draft's layout and dtype.
  kBse,    // LAYOUT_BSE.
  kHalf,   // F16.
};

struct Violation {
  std::string rule;  // As in the table.
  void (*apply)(Draft& draft);
  Form form = Form::kAny;
};

// For a server with --max-request-bytes 13MiB and --max-reply-bytes 64KiB.
std::vector<Violation> AllViolations();

}  // namespace attn::test
