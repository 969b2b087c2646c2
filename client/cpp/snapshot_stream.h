// Where the bytes of a session's snapshot go to and come from: Client's
// ExportSession and ImportSession. The bytes are a safetensors file with
// checksums (core/snapshot/README.md); no cut of them means anything.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attn::client {

// Takes the next bytes of a snapshot, at most some MiB. An error cancels the
// export, which then ends with it.
using SnapshotSink = std::function<absl::Status(std::string_view bytes)>;

// Gives the next bytes of a snapshot; at best about 1 MiB, never more than the
// server's --max-request-bytes. Empty: there are no more. An error cancels the
// import, which then ends with it.
using SnapshotSource = std::function<absl::StatusOr<std::string>()>;

// Both borrow the stream. Errors: DATA_LOSS when the stream fails; where it has
// a file, flush and close it before you believe in it.
SnapshotSink WriteTo(std::ostream& stream);
SnapshotSource ReadFrom(std::istream& stream);

}  // namespace attn::client
