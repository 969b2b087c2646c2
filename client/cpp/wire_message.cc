#include "client/cpp/wire_message.h"

#include <utility>

namespace attn::client {
namespace {

// Below this a slice of its own costs more than the copy.
constexpr size_t kCopyBytes = 4096;
constexpr int kWireTypeLen = 2;

void AppendVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  }
  out.push_back(static_cast<char>(value));
}

}  // namespace

void WireMessage::Append(std::string_view bytes) {
  if (parts_.empty() || parts_.back().owner != nullptr) {
    parts_.emplace_back();
  }
  parts_.back().text.append(bytes);
  size_bytes_ += bytes.size();
}

void WireMessage::AppendShared(const std::shared_ptr<const void>& owner,
                               std::string_view bytes) {
  if (owner == nullptr || bytes.size() <= kCopyBytes) {
    Append(bytes);
    return;
  }
  parts_.push_back({owner, bytes, {}});
  size_bytes_ += bytes.size();
}

void WireMessage::AppendMessage(WireMessage&& other) {
  for (Part& part : other.parts_) {
    if (part.owner == nullptr && !parts_.empty() &&
        parts_.back().owner == nullptr) {
      parts_.back().text.append(part.text);
    } else {
      parts_.push_back(std::move(part));
    }
  }
  size_bytes_ += other.size_bytes_;
  other = WireMessage();
}

void WireMessage::AppendLengthDelimited(int field, uint64_t length) {
  std::string header;
  AppendVarint(header, static_cast<uint64_t>(field) << 3 | kWireTypeLen);
  AppendVarint(header, length);
  Append(header);
}

std::vector<WireMessage::Segment> WireMessage::TakeSegments() {
  std::vector<Segment> segments;
  segments.reserve(parts_.size());
  for (Part& part : parts_) {
    if (part.owner != nullptr) {
      segments.push_back({std::move(part.owner), part.shared});
    } else {
      auto text = std::make_shared<const std::string>(std::move(part.text));
      const std::string_view bytes = *text;
      segments.push_back({std::move(text), bytes});
    }
  }
  parts_.clear();
  return segments;
}

std::string WireMessage::FlattenForTest() const {
  std::string bytes;
  for (const Part& part : parts_) {
    bytes.append(part.owner != nullptr ? part.shared : part.text);
  }
  return bytes;
}

}  // namespace attn::client
