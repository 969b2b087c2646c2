// Tokens that went through each layer, for a metric of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attn {

// Thread-safe.
class LayerTokens {
 public:
  void Add(std::string_view layer, int64_t num_tokens);
  int64_t Of(std::string_view layer) const;

 private:
  mutable absl::Mutex mutex_;
  // One for each layer that ever ran, loaded still or not: its count goes on if
  // it is loaded again.
  std::map<std::string, int64_t, std::less<>> tokens_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn
