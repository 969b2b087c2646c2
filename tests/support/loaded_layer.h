// A layer of a tiny checkpoint, loaded as the server loads it, beside its
// reference. The files are gone when it is there.
#pragma once

#include <cstdint>

#include "core/layer/attention_layer.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/layer_reference.h"

namespace attn::test {

struct LoadedLayer {
  AttentionLayerPtr layer = {};
  ReferenceLayer reference = {};
};

// Dies when it cannot be loaded.
LoadedLayer LoadTiny(const CheckpointOptions& options,
                     WeightFormat format = WeightFormat::kUnspecified,
                     int64_t index = 0);

}  // namespace attn::test
