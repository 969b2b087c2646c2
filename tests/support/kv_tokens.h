// Tokens for the KV cache whose rows follow from a number, so that a layer's
// content is a list of numbers and can be told from any other. Elements are
// small integers, exact in every KV dtype (in int8 while every page holds 64
// tokens of them).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/kv_cache/kv_layer.h"
#include "core/tensor/kv_format.h"

namespace attn::test {

using TokenIds = std::vector<uint64_t>;

// first, first + 1, ...
TokenIds IdsFrom(uint64_t first, int64_t n);

AppendKey KeyOf(const TokenIds& ids);

// Writes tokens [begin, end) of an append, in runs within a page; of pages that
// are packed whole ones alone.
void WriteIds(KvAppend& append, const KvFormat& format, const TokenIds& ids,
              int64_t begin, int64_t end);

// Begins, writes everything unless it is a repeat, commits.
absl::Status AppendIds(KvLayer& layer, const KvFormat& format,
                       const TokenIds& ids,
                       std::optional<int64_t> expected_length = std::nullopt);

// "" if the snapshot holds just these tokens, from its first_token on; else
// what differs first.
std::string CompareWithIds(const KvSnapshot& snapshot, const TokenIds& ids);

// An element of a page of either form, by token.
float KeyAt(const PagedHead& head, int64_t token, int64_t dim);
float ValueAt(const PagedHead& head, int64_t token, int64_t dim,
              int64_t value_head_dim);

// Whether every place behind the length is zero.
bool HasZeroTail(const KvSnapshot& snapshot);

}  // namespace attn::test
