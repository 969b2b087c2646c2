// LayerService's messages to core's terms and back.
#pragma once

#include "absl/status/statusor.h"
#include "attn/v1/layer.pb.h"
#include "core/layer/attention_layer.h"

namespace attn {

v1::Layer ToWire(const AttentionLayer& layer);

// INVALID_ARGUMENT for what is none.
absl::StatusOr<WeightFormat> ToWeightFormat(v1::WeightFormat wire);

}  // namespace attn
