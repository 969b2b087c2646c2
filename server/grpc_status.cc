#include "server/grpc_status.h"

#include <algorithm>
#include <chrono>

#include "core/base/error.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace attn {
namespace {

constexpr char kDomain[] = "attnserve";

void AddErrorInfo(const absl::Status& status, google::rpc::Status& rich) {
  const std::string_view reason = ReasonName(ReasonOf(status));
  if (reason.empty()) return;
  google::rpc::ErrorInfo info;
  info.set_reason(reason.data(), reason.size());
  info.set_domain(kDomain);
  if (const auto length = FoundLengthOf(status)) {
    (*info.mutable_metadata())["found_length"] = std::to_string(*length);
  }
  rich.add_details()->PackFrom(info);
}

void AddBadRequest(const absl::Status& status, google::rpc::Status& rich) {
  const std::optional<std::string> field = FieldOf(status);
  if (!absl::IsInvalidArgument(status) || !field.has_value()) return;
  google::rpc::BadRequest bad_request;
  auto& violation = *bad_request.add_field_violations();
  violation.set_field(*field);
  violation.set_description(rich.message());
  rich.add_details()->PackFrom(bad_request);
}

void AddRetryInfo(const absl::Status& status, google::rpc::Status& rich) {
  const std::optional<Duration> retry_after = RetryAfterOf(status);
  if (!retry_after.has_value()) return;
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(*retry_after);
  google::rpc::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(seconds.count());
  info.mutable_retry_delay()->set_nanos(
      static_cast<int32_t>((*retry_after - seconds).count()));
  rich.add_details()->PackFrom(info);
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status rich;
  rich.set_code(static_cast<int>(status.code()));
  rich.set_message(PublicMessage(status));
  AddErrorInfo(status, rich);
  AddBadRequest(status, rich);
  AddRetryInfo(status, rich);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      rich.message(),
                      rich.details_size() > 0 ? rich.SerializeAsString() : "");
}

std::optional<std::string> RetryPushback(const absl::Status& status) {
  // The same message will be too large again.
  if (ReasonOf(status) == Reason::kRequestTooLarge) return "-1";
  const std::optional<Duration> retry_after = RetryAfterOf(status);
  if (!retry_after.has_value()) return std::nullopt;
  const auto milliseconds =
      std::chrono::ceil<std::chrono::milliseconds>(*retry_after);
  return std::to_string(std::max<int64_t>(1, milliseconds.count()));
}

}  // namespace attn
