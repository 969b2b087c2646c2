// The flags of `attnctl attend` and the request they make.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cpp/attnctl/input_flags.h"
#include "client/cpp/attnctl/weights_view.h"
#include "client/cpp/request.h"

namespace CLI {
class App;
}

namespace attn::attnctl {

// Plain values: thread-compatible.
struct AttendFlags {
  // .npy files; empty: not given.
  std::string query, key, value, mask;
  std::string out, lse_out, weights_out, top_out;
  client::DType input_dtype = client::DType::kUnspecified;  // As the files.
  bool json = false;  // Print one line of JSON instead of text.

  // Everything that is no tensor; LoadRequest adds those.
  client::AttendRequest request;
  RopeFlags rope;
  client::SessionRef session;
  absl::Duration deadline = absl::ZeroDuration();  // 0: --timeout.
  bool trace = false;  // Send a W3C trace and show what came of it.

  bool show_weights = false;
  std::string html;  // Where the explorer page goes; empty: nowhere.
  std::string tokens_path, query_tokens_path;
  std::string color = "auto";
  WeightsViewOptions view;
};

// Adds all flags to `app`; `flags` must outlive the parse.
void AddAttendFlags(CLI::App& app, AttendFlags& flags);

// Parts of them that another kind of request has, too: --mask; what to return,
// how to call and what to show.
void AddMaskFlag(CLI::App& app, AttendFlags& flags);
void AddAnswerFlags(CLI::App& app, AttendFlags& flags);

// Reads the files and completes the request: rope and session where any of
// their flags is set, lse and weights where a file or a view asks for them.
// Errors: as ReadNpy; INVALID_ARGUMENT for flags that do not fit together.
absl::StatusOr<client::AttendRequest> LoadRequest(const AttendFlags& flags);

}  // namespace attn::attnctl
