// Requests as clients send them, for what measures the codec or the server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "attn/v1/types.pb.h"
#include "core/tensor/dtype.h"
#include "server/fragmented_bytes.h"

namespace attn::bench {

// [1, heads, length, dim] of random numbers; dtype: F32 or BF16.
void FillTensor(v1::Tensor& tensor, DataType dtype, int64_t heads,
                int64_t length, int64_t dim);

// An AttendRequest whose three f32 tensors hold 4 MiB.
std::string LargeRequest();

// A decode step: one token of 32 query heads and 8 KV heads of 128 in bf16,
// appended to a session.
std::string DecodeStepRequest();

// The message as gRPC hands out what came over HTTP/2. Borrows it.
FragmentedBytes Fragments(const std::string& message);

// Pass 1, and pass 2: the query's, key's and value's bytes one behind the other
// into `target`. Ends the process for a message that is not a request.
// REQUIRES: target.size() >= bytes.whole().size.
void DecodeInto(FragmentedBytes bytes, std::vector<std::byte>& target);

}  // namespace attn::bench
