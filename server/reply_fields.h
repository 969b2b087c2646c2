// The fields that replies with attention in them share. AttendResponse and
// ForwardResponse, and their results in batches, have the same numbers for what
// is the same in them; what is written here is either's.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "attn/v1/types.pb.h"
#include "core/engine/attention_task.h"
#include "core/tensor/shape.h"
#include "server/reply.h"

namespace attn {

// Memory that a reply borrows.
struct TensorBytes {
  const std::byte* data = nullptr;
  int64_t size = 0;
  DataType dtype = DataType::kUnspecified;
  Dims dims{};
};

v1::Tensor HeaderOf(DataType dtype, const Dims& dims);

// `owner` keeps the bytes alive.
void AppendTensor(int field_number, const TensorBytes& tensor,
                  const std::shared_ptr<const void>& owner, Reply& reply);

// lse, weights and top, as far as the task's request asked for them.
void AppendAttention(const AttentionTask& task,
                     const std::shared_ptr<const void>& owner, Reply& reply);

std::string RequestIdField(const std::string& request_id);

// What comes last in a response.
struct ClosingFields {
  const AttentionTask& task;  // Has the session's length, if there is one.
  const TaskTimes& times;
  Duration total_time{};
  int64_t batch_size = 0;
};
std::string ToWire(const ClosingFields& fields);

// An AttendResult or ForwardResult: `response` where the status is OK, else the
// request_id alone.
Reply EncodeItem(const absl::Status& status, const std::string& request_id,
                 Reply response);

}  // namespace attn
