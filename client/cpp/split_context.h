// One KV-cache session over several servers: each keeps a part of the tokens,
// all are asked at once, and their answers are merged (merge.h) into that of
// the whole. This is how a context outgrows one machine.
//
// 1. The first client keeps tokens 0 to part_length - 1 of every layer, the
//    second one the next part_length, and so on; the last one all that follow.
//    So a server sees neighbouring tokens, and its positions are those of the
//    whole less its first one.
// 2. Positions, offsets and windows of a call are those of the whole.
// 3. Sinks are one term of the whole's denominator: they are given to the
//    merge, to no server.
// 4. An answer depends on part_length (f32 sums differ by where they are cut,
//    within |lse| * 2^-24), never on which servers there are.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/cpp/client.h"
#include "client/cpp/merge.h"
#include "client/cpp/request.h"
#include "client/cpp/session.h"

namespace attn::client {

// Thread-compatible: one call at a time.
class SplitContext {
 public:
  // Makes a session on every client: `session_id`, if given, with -0, -1, ...
  // behind it. The clients must outlive the context. Errors: INVALID_ARGUMENT
  // for no client, a part_length of 0 and a window (a part does not know the
  // newest tokens), and CreateSession's; then no session stays behind.
  static absl::StatusOr<std::unique_ptr<SplitContext>> Create(
      absl::Span<Client* const> clients, uint64_t part_length,
      const SessionSpec& spec, const std::string& session_id = "");

  // Deletes the sessions; what cannot be deleted goes after its idle_ttl.
  ~SplitContext();
  SplitContext(const SplitContext&) = delete;
  SplitContext& operator=(const SplitContext&) = delete;

  // Of each client, in order.
  std::vector<std::string> session_ids() const;

  // Tokens in the layer. REQUIRES: layer < spec.num_layers.
  uint64_t length(uint32_t layer = 0) const;

  // key [1, num_kv_heads, tokens, head_dim], value [1, num_kv_heads, tokens,
  // value_head_dim]: the next tokens, each to the server that it belongs to;
  // gives the layer's length. `rope` turns keys by their places in the whole.
  // An error leaves the tokens of the parts before it appended: `length` says
  // how many, and the rest can be appended again. Errors: as Client::AppendKv.
  absl::StatusOr<uint64_t> Append(const Tensor& key, const Tensor& value,
                                  uint32_t layer = 0,
                                  const std::optional<RopeParams>& rope = {},
                                  const CallOptions& options = {});

  // Attention of request.query [1, num_q_heads, q_len, head_dim] to the whole
  // layer, with its lse. `request` may have attn_mask (its last axis 1 or the
  // layer's length), params, output.dtype, priority and request_id.
  // Causal::kBottomRight lets the last row see the last token. Errors:
  // INVALID_ARGUMENT for other fields and for Causal::kTopLeft, whose meaning
  // with a session is that of an append; Client::Attend's, with the part that
  // has it in front.
  absl::StatusOr<PartialAnswer> Attend(const AttendRequest& request,
                                       uint32_t layer = 0,
                                       const CallOptions& options = {});

 private:
  // What one server keeps: tokens from `begin` on of every layer.
  struct Part {
    Client* client;
    std::string session_id;
    uint64_t begin;
    std::vector<uint64_t> lengths;  // [num_layers]
  };

  explicit SplitContext(uint64_t part_length) : part_length_(part_length) {}

  absl::Status CreateParts(absl::Span<Client* const> clients,
                           const SessionSpec& spec,
                           const std::string& session_id);
  absl::Status CheckLayer(uint32_t layer) const;
  // Where the layer's next token goes, and how many it may take.
  size_t TailPart(uint64_t layer_length) const;
  uint64_t Room(size_t part, uint64_t layer_length) const;
  absl::Status Describe(const Part& part, const absl::Status& status) const;

  const uint64_t part_length_;
  std::vector<Part> parts_;
};

}  // namespace attn::client
