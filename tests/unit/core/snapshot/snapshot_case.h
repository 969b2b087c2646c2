// What the tests of snapshots share: sessions of numbered tokens, their bytes,
// and the way back.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "core/kv_cache/session.h"
#include "core/snapshot/snapshot_reader.h"
#include "core/snapshot/snapshot_writer.h"
#include "gtest/gtest.h"
#include "tests/support/everybody.h"
#include "tests/support/kv_tokens.h"

namespace attn::test {

inline std::unique_ptr<Session> MakeSession(const KvSpec& spec, PagePool& pool,
                                            const std::string& id = "source") {
  return std::make_unique<Session>(Session::Name{Everybody(), id},
                                   *ResolveSpec(spec, {}), pool,
                                   TimePoint(std::chrono::hours(1)));
}

inline void AppendTo(Session& session, int64_t layer, const TokenIds& ids) {
  const absl::Status status =
      AppendIds(*session.Lock(layer), session.format(), ids);
  ASSERT_TRUE(status.ok()) << status;
}

inline std::string BytesOf(SnapshotWriter& writer) {
  std::string bytes;
  std::string chunk;
  for (writer.Next(chunk); !chunk.empty(); writer.Next(chunk)) bytes += chunk;
  return bytes;
}

inline std::string Export(Session& session) {
  SnapshotWriter writer(session);
  return BytesOf(writer);
}

// Fed in pieces of `cut` bytes.
inline absl::StatusOr<std::unique_ptr<Session>> Import(
    std::string_view bytes, PagePool& pool, size_t cut = 1 << 20,
    const SessionLimits& limits = {}, Tenant& tenant = Everybody()) {
  SnapshotReader reader(pool, limits, tenant);
  while (!bytes.empty()) {
    const absl::Status status = reader.Add(bytes.substr(0, cut));
    if (!status.ok()) return status;
    bytes.remove_prefix(std::min(cut, bytes.size()));
  }
  return reader.Finish("copy", TimePoint(std::chrono::hours(2)));
}

inline std::string Compare(Session& session, int64_t layer,
                           const TokenIds& ids) {
  return CompareWithIds(session.Lock(layer)->Snapshot(), ids);
}

}  // namespace attn::test
