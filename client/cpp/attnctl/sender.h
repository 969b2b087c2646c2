// Sends requests of a bench by one of the three methods, without blocking for
// the answers.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "client/cpp/client.h"

namespace attn::attnctl {

// Thread-safe.
class Sender {
 public:
  // Runs once for each Send, on another thread, with one result for each
  // request in order. Must not block.
  using Done = std::function<void(std::vector<client::AttendResult>)>;

  // Stops sending and waits for what is under way. REQUIRES: no Send later.
  virtual ~Sender() = default;

  // A call that fails as a whole gives every request its status.
  virtual void Send(const std::vector<client::AttendRequest>& requests,
                    Done done) = 0;
};

// One Attend for each request. `client` must outlive the sender, here and
// below.
std::unique_ptr<Sender> MakeUnarySender(client::Client& client);

// One AttendBatch for each Send.
std::unique_ptr<Sender> MakeBatchSender(client::Client& client);

// One stream for all; request_ids must differ.
std::unique_ptr<Sender> MakeStreamSender(client::Client& client);

}  // namespace attn::attnctl
