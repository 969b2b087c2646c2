#include "client/cpp/status_prefix.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace attn::client {

absl::Status Prefixed(std::string_view prefix, const absl::Status& status) {
  if (status.ok()) {
    return status;
  }
  absl::Status prefixed(
      status.code(), absl::StrCat(std::string(prefix), ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    prefixed.SetPayload(url, payload);
  });
  return prefixed;
}

}  // namespace attn::client
