// What clients may know of a model: its tensors, and its configuration in
// Triton's terms, from which tools derive how to ask and what to measure.
#pragma once

#include "core/base/clock.h"
#include "inference/grpc_service.pb.h"
#include "inference/model_config.pb.h"
#include "server/inference/served_model.h"

namespace attn {

// The settings that the configurations show.
struct ModelLimits {
  int64_t max_queue_tasks = 0;
  Duration max_batch_delay{};
  int64_t max_sessions = 0;
  Duration session_idle_ttl{};
};

inference::ModelMetadataResponse DescribeModel(const ServedModel& model);

inference::ModelConfig DescribeConfig(const ServedModel& model,
                                      const ModelLimits& limits);

}  // namespace attn
