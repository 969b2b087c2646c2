// Any bytes as a snapshot, in fragments: must make a session or be refused with
// a reason, and leave no page behind. So that the search gets past the
// checksums, half of the inputs have them made right: the text up to the first
// NUL is the header's JSON, what follows is page data.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/snapshot/piece_checksums.h"
#include "core/snapshot/snapshot_header.h"
#include "core/snapshot/snapshot_reader.h"
#include "core/snapshot/snapshot_writer.h"

namespace attn {
namespace {

constexpr int64_t kPoolBytes = int64_t{1} << 20;
constexpr TimePoint kNow{std::chrono::hours(1)};

absl::StatusOr<std::unique_ptr<Session>> Read(std::string_view bytes,
                                              size_t fragment, PagePool& pool,
                                              Tenant& tenant) {
  SnapshotReader reader(pool, {}, tenant);
  for (size_t at = 0; at < bytes.size(); at += fragment) {
    const absl::Status status = reader.Add(bytes.substr(at, fragment));
    if (!status.ok()) return status;
  }
  return reader.Finish("fuzz", kNow);
}

// The head for this JSON, and the page data and checksums that it asks for.
std::string Repair(std::string_view input) {
  const size_t end = std::min(input.find('\0'), input.size());
  std::string bytes = EncodeChecksum(0);  // 8 bytes for the size.
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>((uint64_t{end} >> (8 * i)) & 0xff);
  }
  bytes += input.substr(0, end);
  bytes += EncodeChecksum(Checksum(bytes));
  std::string data(input.substr(std::min(end + 1, input.size())));
  const auto contents = ParseHead(bytes, {});
  if (!contents.ok() || contents->page_data_bytes() > kPoolBytes) {
    return bytes + data;
  }
  data.resize(static_cast<size_t>(contents->page_data_bytes()));
  PieceChecksums pieces;
  pieces.Add(reinterpret_cast<const std::byte*>(data.data()), std::ssize(data));
  return bytes + data + pieces.Finish();
}

std::string Export(Session& session) {
  SnapshotWriter writer(session);
  std::string bytes, chunk;
  for (writer.Next(chunk); !chunk.empty(); writer.Next(chunk)) bytes += chunk;
  return bytes;
}

void Check(std::string_view bytes, size_t fragment) {
  Tenant tenant("fuzz", 1, {.max_kv_bytes = 2 * kPoolBytes});
  PagePool pool(kPoolBytes);
  {
    const auto session = Read(bytes, fragment, pool, tenant);
    if (session.ok()) {
      // What was taken can be given and taken again.
      const std::string again = Export(**session);
      PagePool other(kPoolBytes);
      const auto copy = Read(again, 1000, other, tenant);
      ATTN_CHECK(copy.ok());
      ATTN_CHECK(Export(**copy) == again);
    } else {
      ATTN_CHECK(ReasonOf(session.status()) != Reason::kNone);
    }
  }
  ATTN_CHECK(pool.used_bytes() == 0 && tenant.kv_bytes() == 0);
}

}  // namespace
}  // namespace attn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2,
                               size - 2);
  // The first byte says how the network cut the rest, the second what it is.
  const size_t fragment = data[0] == 0 ? size : data[0];
  attn::Check(data[1] % 2 == 0 ? std::string(input) : attn::Repair(input),
              fragment);
  return 0;
}
