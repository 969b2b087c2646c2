// One message on its way to gRPC as a list of byte runs: small fields are
// copied together, tensor bytes stay where they are and are kept alive by their
// owners. Internal to the client; knows neither gRPC nor protobuf.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace attn::client {

// Thread-compatible.
class WireMessage {
 public:
  // A run of bytes that `owner` keeps alive.
  struct Segment {
    std::shared_ptr<const void> owner;
    std::string_view bytes;
  };

  // Copies `bytes`.
  void Append(std::string_view bytes);

  // Refers to `bytes`; copies them where they are few or `owner` is null.
  void AppendShared(const std::shared_ptr<const void>& owner,
                    std::string_view bytes);

  // Takes all of `other`.
  void AppendMessage(WireMessage&& other);

  // A protobuf field header: `field` of wire type LEN with `length` bytes.
  void AppendLengthDelimited(int field, uint64_t length);

  uint64_t size_bytes() const { return size_bytes_; }

  // The runs in order. REQUIRES: no Append afterwards.
  std::vector<Segment> TakeSegments();

  // Everything in one string.
  std::string FlattenForTest() const;

 private:
  // Either a shared run, or (owner null) a part that still grows.
  struct Part {
    std::shared_ptr<const void> owner;
    std::string_view shared;
    std::string text;
  };

  std::vector<Part> parts_;
  uint64_t size_bytes_ = 0;
};

}  // namespace attn::client
