#include "client/cpp/snapshot_stream.h"

#include <istream>
#include <ostream>

namespace attn::client {

SnapshotSink WriteTo(std::ostream& stream) {
  return [&stream](std::string_view bytes) {
    stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return stream.good() ? absl::OkStatus()
                         : absl::DataLossError("the stream takes no more");
  };
}

SnapshotSource ReadFrom(std::istream& stream) {
  return [&stream]() -> absl::StatusOr<std::string> {
    constexpr size_t kBytes = size_t{1} << 20;
    std::string bytes(kBytes, '\0');
    stream.read(bytes.data(), static_cast<std::streamsize>(kBytes));
    if (stream.bad()) {
      return absl::DataLossError("the stream cannot be read");
    }
    bytes.resize(static_cast<size_t>(stream.gcount()));
    return bytes;
  };
}

}  // namespace attn::client
