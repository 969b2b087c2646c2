#include "client/cpp/attend_stream.h"

#include <utility>

#include "attn/v1/attention.pb.h"
#include "client/cpp/request_codec.h"
#include "client/cpp/response_codec.h"
#include "client/cpp/transport.h"

namespace attn::client {

AttendStream::AttendStream(std::unique_ptr<ByteStream> stream)
    : stream_(std::move(stream)) {}

AttendStream::~AttendStream() = default;

bool AttendStream::Write(const AttendRequest& request) {
  return stream_->Write(EncodeRequest(request));
}

std::optional<AttendResult> AttendStream::Read() {
  attn::v1::AttendResult message;
  if (!stream_->Read(message)) {
    return std::nullopt;
  }
  return DecodeResult(message);
}

void AttendStream::WritesDone() { stream_->WritesDone(); }

absl::Status AttendStream::Finish() { return stream_->Finish(); }

void AttendStream::Cancel() { stream_->Cancel(); }

}  // namespace attn::client
