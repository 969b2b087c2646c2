// Between a case's contiguous keys and values and those that a layer keeps.
#pragma once

#include "core/kv_cache/kv_layer.h"
#include "tests/support/attention_case.h"

namespace attn::test {

// Appends the case's keys and values to the layer, whose format they have.
// REQUIRES: batch_size 1, F32, BHSD, no rope.
void AppendCase(KvLayer& layer, const AttentionCase& attention_case);

// The case with the first kv_len keys and values of the snapshot, widened, for
// its own; tokens that left a window are 0. REQUIRES: as above, and that the
// snapshot has as many.
AttentionCase WithTokensOf(const AttentionCase& attention_case,
                           const KvSnapshot& snapshot);

}  // namespace attn::test
