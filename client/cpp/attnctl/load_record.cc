#include "client/cpp/attnctl/load_record.h"

#include <functional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "client/cpp/error_details.h"

namespace attn::attnctl {
namespace {

std::string ErrorName(const absl::Status& status) {
  const std::string code = absl::StatusCodeToString(status.code());
  const std::string reason = client::ErrorReason(status);
  return reason.empty() ? code : absl::StrCat(code, " (", reason, ")");
}

uint64_t ReceivedBytes(const client::AttendResponse& response) {
  return response.output.bytes().size() + response.lse.bytes().size() +
         response.weights.bytes().size();
}

void AddCompleted(const client::AttendResponse& response,
                  LoadFigures& figures) {
  ++figures.completed;
  figures.received_bytes += ReceivedBytes(response);
  figures.batch_size_sum += response.timing.batch_size;
  figures.server_queue.Record(response.timing.queue);
  figures.server_compute.Record(response.timing.compute);
}

}  // namespace

double LoadFigures::mean_batch_size() const {
  return completed == 0 ? 0.0 : batch_size_sum / static_cast<double>(completed);
}

LoadRecord::LoadRecord(uint64_t verify) : verify_(verify) {}

void LoadRecord::Add(const AnsweredSend& send) {
  const absl::MutexLock lock(&mutex_);
  figures_.sent_bytes += send.sent_bytes;
  bool all_completed = true;
  uint64_t index = send.first_index;
  for (const client::AttendResult& result : *send.results) {
    if (!result.status.ok()) {
      ++figures_.failed;
      ++figures_.errors[ErrorName(result.status)];
      all_completed = false;
    } else {
      AddCompleted(result.response, figures_);
      if (index < verify_) {
        figures_.fingerprints[index] = Fingerprint(result.response.output);
      }
    }
    ++index;
  }
  if (all_completed) {
    figures_.latency.Record(send.latency);
  }
}

LoadFigures LoadRecord::Copy() const {
  const absl::MutexLock lock(&mutex_);
  return figures_;
}

uint64_t LoadRecord::completed() const {
  const absl::MutexLock lock(&mutex_);
  return figures_.completed;
}

uint64_t LoadRecord::failed() const {
  const absl::MutexLock lock(&mutex_);
  return figures_.failed;
}

uint64_t Fingerprint(const client::Tensor& output) {
  const std::hash<std::string_view> hash;
  return hash(output.bytes()) ^ hash(client::ShapeText(output.shape()));
}

}  // namespace attn::attnctl
