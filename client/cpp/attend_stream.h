// A pipelined stream of requests: send many, receive each result as it
// finishes. Results of one session keep their order, others do not: match them
// by request_id.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "client/cpp/request.h"

namespace attn::client {

class ByteStream;

// One thread may write (Write, WritesDone) while another one reads; Cancel may
// come from any thread. Made by Client::OpenStream; must end before the client.
// Destroying an unfinished stream cancels it and waits for it.
class AttendStream {
 public:
  explicit AttendStream(std::unique_ptr<ByteStream> stream);
  ~AttendStream();
  AttendStream(const AttendStream&) = delete;
  AttendStream& operator=(const AttendStream&) = delete;

  // Sends one request; blocks while flow control does not let it out. false:
  // the stream has broken, Finish says why.
  bool Write(const AttendRequest& request);

  // The next result; blocks. Nothing: there are no more, Finish says whether
  // the stream ended well. An item's own failure is in its status.
  std::optional<AttendResult> Read();

  // No more writes. The server ends the stream once every result is sent.
  void WritesDone();

  // The stream's status; blocks until it has ended. REQUIRES: no Write or Read
  // at the same time or later. Read until it gives nothing, else an unread
  // result can hold the stream open.
  absl::Status Finish();

  // Ends the stream with CANCELLED; pending Write and Read return.
  void Cancel();

 private:
  const std::unique_ptr<ByteStream> stream_;
};

}  // namespace attn::client
