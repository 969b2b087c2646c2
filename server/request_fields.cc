#include "server/request_fields.h"

#include "absl/strings/str_cat.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace attn {

OutputOptions ReadOutputOptions(const v1::OutputOptions& wire) {
  return {.dtype = static_cast<DataType>(wire.dtype()),
          .return_lse = wire.return_lse(),
          .weights = static_cast<WeightsMode>(wire.weights()),
          .top_k = wire.top_k()};
}

SessionTarget ReadSessionRef(const v1::SessionRef& wire) {
  SessionTarget target{.session_id = wire.session_id(), .layer = wire.layer()};
  if (wire.has_expected_length()) {
    target.expected_length = ToLength(wire.expected_length());
  }
  return target;
}

absl::Status CheckEnvelope(const std::string& request_id,
                           v1::Priority priority) {
  ATTN_RETURN_IF_ERROR(CheckId("request_id", request_id));
  if (v1::Priority_IsValid(priority)) return absl::OkStatus();
  return InvalidOption("priority", "must be an enum number from 0 to 3",
                       absl::StrCat(static_cast<int>(priority)));
}

}  // namespace attn
