// The figures of `attnctl bench --sessions` as a table for humans and as flat
// JSON. Pure functions.
#pragma once

#include <string>

#include "client/cpp/attnctl/decode_load.h"
#include "client/cpp/attnctl/load_record.h"

namespace attn::attnctl {

struct DecodeReport {
  DecodePlan plan;
  DecodeFigures decode;
  LoadFigures calls;  // Attend, or the items of AttendBatch.
  bool stopped_early = false;
};

// Ends in a newline.
std::string RenderDecodeTable(const DecodeReport& report);

// {"sessions": ..., "tokens_per_second": ..., "token_p50_ms": ..., ...}
std::string RenderDecodeJson(const DecodeReport& report);

}  // namespace attn::attnctl
