// The head of a snapshot: what a safetensors file begins with (README.md), made
// of the contents and read back, with nothing left to chance: a header that is
// read must be the one that its own metadata would be written with.
//
//   8 bytes N, little-endian | N bytes JSON | 8 bytes CRC32C of both
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/kv_cache/session_spec.h"
#include "core/snapshot/snapshot_contents.h"

namespace attn {

inline constexpr std::string_view kSnapshotFormat = "attnserve.snapshot/1";

inline constexpr int64_t kHeaderSizeBytes = 8;
// 4096 layers take about 1 MiB.
inline constexpr int64_t kMaxHeaderBytes = int64_t{2} << 20;

// All three parts; a multiple of 64 bytes, so that blocks are aligned.
// REQUIRES: CheckContents is OK.
std::string EncodeHead(const SnapshotContents& contents);

// N of the first 8 bytes. DATA_LOSS / SNAPSHOT_DAMAGED for one that no snapshot
// has.
absl::StatusOr<int64_t> ParseHeaderSize(std::string_view bytes);

// All three parts. Errors: DATA_LOSS / SNAPSHOT_DAMAGED for a wrong checksum
// and for JSON that differs from what this version would write, with the first
// difference; UNIMPLEMENTED / NOT_SERVED for another format; ResolveSpec's for
// a spec that this server does not take.
absl::StatusOr<SnapshotContents> ParseHead(std::string_view head,
                                           const SessionLimits& limits);

}  // namespace attn
