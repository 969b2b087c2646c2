// The flags of `attnctl layer` and the request they make.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cpp/attnctl/attend_flags.h"
#include "client/cpp/layer.h"

namespace CLI {
class App;
}

namespace attn::attnctl {

// All plain values: thread-compatible. Each Add function adds the flags of one
// sub-command; its target must outlive the parse.

struct LayerListFlags {
  bool json = false;
};
void AddLayerListFlags(CLI::App& app, LayerListFlags& flags);

struct LayerShowFlags {
  std::string name;
  bool json = false;
};
void AddLayerShowFlags(CLI::App& app, LayerShowFlags& flags);

struct LayerLoadFlags {
  std::string name;
  client::WeightFormat weights = client::WeightFormat::kUnspecified;
  bool json = false;
};
void AddLayerLoadFlags(CLI::App& app, LayerLoadFlags& flags);

struct LayerUnloadFlags {
  std::vector<std::string> names;
};
void AddLayerUnloadFlags(CLI::App& app, LayerUnloadFlags& flags);

struct LayerForwardFlags {
  std::string hidden, context;  // .npy files; empty: not given.
  // Everything that is no tensor and not in `answer`; LoadForward adds it.
  client::ForwardRequest request;
  // The mask, what to return and show, how to call, the session.
  AttendFlags answer;
};
void AddLayerForwardFlags(CLI::App& app, LayerForwardFlags& flags);

// Reads the files and completes the request. Errors: as LoadRequest.
absl::StatusOr<client::ForwardRequest> LoadForward(
    const LayerForwardFlags& flags);

}  // namespace attn::attnctl
