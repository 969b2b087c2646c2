// The flags of `attnctl session` and the requests they make.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cpp/attnctl/attend_flags.h"
#include "client/cpp/attnctl/input_flags.h"
#include "client/cpp/session.h"

namespace CLI {
class App;
}

namespace attn::attnctl {

// All plain values: thread-compatible. Each Add function adds the flags of one
// sub-command; its target must outlive the parse.

struct SessionCreateFlags {
  std::string session_id;  // Empty: the server chooses.
  client::SessionSpec spec;
  bool json = false;
};
void AddSessionCreateFlags(CLI::App& app, SessionCreateFlags& flags);

struct SessionForkFlags {
  std::string source_session_id;
  std::string session_id;
  std::optional<uint64_t> length;
  bool json = false;
};
void AddSessionForkFlags(CLI::App& app, SessionForkFlags& flags);

struct SessionTruncateFlags {
  std::string session_id;
  uint64_t length = 0;
  std::optional<uint32_t> layer;
  bool json = false;
};
void AddSessionTruncateFlags(CLI::App& app, SessionTruncateFlags& flags);

struct SessionListFlags {
  uint32_t page_size = 0;  // 0: all pages.
  std::string page_token;
  bool json = false;
};
void AddSessionListFlags(CLI::App& app, SessionListFlags& flags);

struct SessionShowFlags {
  std::string session_id;
  bool json = false;
};
void AddSessionShowFlags(CLI::App& app, SessionShowFlags& flags);

struct SessionDeleteFlags {
  std::vector<std::string> session_ids;
};
void AddSessionDeleteFlags(CLI::App& app, SessionDeleteFlags& flags);

struct SessionExportFlags {
  std::string session_id;
  std::string file;  // "-": stdout.
  bool json = false;
};
void AddSessionExportFlags(CLI::App& app, SessionExportFlags& flags);

struct SessionImportFlags {
  std::string file;        // "-": stdin.
  std::string session_id;  // Empty: the snapshot's own.
  bool json = false;
};
void AddSessionImportFlags(CLI::App& app, SessionImportFlags& flags);

// Random rows in place of files.
struct RandomTokens {
  int64_t tokens = 0;  // 0: from files.
  uint64_t seed = 1;
  client::DType dtype = client::DType::kF32;
};

struct SessionAppendFlags {
  client::SessionRef session;
  bool all_layers = false;
  std::string key, value;  // .npy files.
  RandomTokens random;
  client::DType input_dtype = client::DType::kUnspecified;  // As the files.
  client::Layout layout = client::Layout::kUnspecified;
  RopeFlags rope;
  bool json = false;
};
void AddSessionAppendFlags(CLI::App& app, SessionAppendFlags& flags);

struct SessionAttendFlags {
  AttendFlags attend;
  RandomTokens random;
  int64_t num_q_heads = 0;  // For random; 0: as the KV heads.
};
void AddSessionAttendFlags(CLI::App& app, SessionAttendFlags& flags);

// Query, key and value of `random.tokens` tokens that fit `spec`. Errors:
// INVALID_ARGUMENT for tensors beyond 2 GiB.
absl::StatusOr<client::AttendRequest> RandomProblem(
    const client::SessionSpec& spec, const RandomTokens& random,
    int64_t num_q_heads);

// The append of `flags` without random rows: reads the files. Errors: as
// ReadNpy, and INVALID_ARGUMENT where there is neither a file nor --random.
absl::StatusOr<client::AppendRequest> LoadAppend(
    const SessionAppendFlags& flags);

}  // namespace attn::attnctl
