// The model's attention, computed by the service: one session keeps the keys
// and values of all layers, and each call sends those of the new tokens alone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/cpp/client.h"
#include "client/examples/decode/matrix.h"
#include "client/examples/decode/transformer.h"

namespace tiny_decoder {

// Confined to one thread: a layer's calls depend on their order.
class SessionAttention {
 public:
  // Makes a session for `shape`. `client` must outlive the result. Errors: as
  // Client::CreateSession.
  static absl::StatusOr<std::unique_ptr<SessionAttention>> Create(
      const ModelShape& shape, attn::client::Client& client);

  // Deletes the session.
  ~SessionAttention();
  SessionAttention(const SessionAttention&) = delete;
  SessionAttention& operator=(const SessionAttention&) = delete;

  // Appends keys and values to `layer`, which has those of `length` tokens, and
  // attends to all of it: each new row to itself and whatever came before it.
  // [tokens, width]. Errors: as Client::Attend.
  absl::StatusOr<Matrix> Attend(uint32_t layer, uint64_t length,
                                const Projections& projections);

 private:
  SessionAttention(const ModelShape& shape, std::string session_id,
                   attn::client::Client& client);

  const ModelShape shape_;
  const std::string session_id_;
  attn::client::Client& client_;
};

}  // namespace tiny_decoder
