// What identifies an append, from the bytes of its message: a client that sends
// the same tokens again must not append them twice.
#pragma once

#include "core/attention/request_spec.h"
#include "core/engine/session_calls.h"
#include "core/kv_cache/kv_layer.h"
#include "server/forward_codec.h"
#include "server/fragmented_bytes.h"
#include "server/wire_codec.h"

namespace attn {

// Reads the tensor at `place`. Borrows the bytes.
ReadBytes ReaderOf(const FragmentedBytes& bytes, ByteRange place);

// A call on a layer of `session`, whose keys and values lie in `bytes`. Borrows
// all of them.
SessionCall MakeSessionCall(Session& session, const SessionTarget& target,
                            const FragmentedBytes& bytes,
                            const RequestSpec& spec,
                            const TensorPlaces& places);

// Hash (XXH3, 128 bits) of dtypes, shapes, layout, rotation and bytes. The
// number of tokens is left to whoever validates the shapes.
AppendKey HashAppend(const FragmentedBytes& bytes, const RequestSpec& spec,
                     const TensorPlaces& places);

// The same of what a ForwardRequest's keys and values come from, and of the
// layer that makes them.
AppendKey HashForward(const FragmentedBytes& bytes,
                      const DecodedForward& decoded);

}  // namespace attn
