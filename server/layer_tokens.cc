#include "server/layer_tokens.h"

namespace attn {

void LayerTokens::Add(std::string_view layer, int64_t num_tokens) {
  absl::MutexLock lock(&mutex_);
  const auto found = tokens_.find(layer);
  if (found != tokens_.end()) {
    found->second += num_tokens;
  } else {
    tokens_.emplace(layer, num_tokens);
  }
}

int64_t LayerTokens::Of(std::string_view layer) const {
  absl::MutexLock lock(&mutex_);
  const auto found = tokens_.find(layer);
  return found == tokens_.end() ? 0 : found->second;
}

}  // namespace attn
