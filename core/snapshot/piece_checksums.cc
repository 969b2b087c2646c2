#include "core/snapshot/piece_checksums.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <utility>

#include "core/base/checked_math.h"

namespace attn {
namespace {

constexpr uint32_t kStart = 0xffffffffu;

// ISA-L takes an int for the size and, by an oversight, a mutable pointer.
// REQUIRES: bytes <= kPieceBytes.
uint32_t Extend(uint32_t state, const std::byte* data, int64_t bytes) {
  if (bytes == 0) return state;
  auto* mutable_data =
      const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(data));
  return crc32_iscsi(mutable_data, static_cast<int>(bytes), state);
}

}  // namespace

int64_t NumPieces(int64_t data_bytes) {
  return DivideUp(data_bytes, kPieceBytes);
}

std::string EncodeChecksum(uint32_t checksum) {
  std::string text(static_cast<size_t>(kChecksumBytes), '\0');
  for (size_t i = 0; i < sizeof(checksum); ++i) {
    text[i] = static_cast<char>((checksum >> (8 * i)) & 0xff);
  }
  return text;
}

uint32_t Checksum(std::string_view bytes) {
  uint32_t state = kStart;
  while (!bytes.empty()) {
    const std::string_view part =
        bytes.substr(0, static_cast<size_t>(kPieceBytes));
    state = Extend(state, reinterpret_cast<const std::byte*>(part.data()),
                   std::ssize(part));
    bytes.remove_prefix(part.size());
  }
  return ~state;
}

void PieceChecksums::Add(const std::byte* data, int64_t bytes) {
  while (bytes > 0) {
    const int64_t n = std::min(bytes, kPieceBytes - bytes_in_piece_);
    state_ = Extend(state_, data, n);
    bytes_in_piece_ += n;
    data += n;
    bytes -= n;
    if (bytes_in_piece_ == kPieceBytes) EndPiece();
  }
}

std::string PieceChecksums::Finish() {
  if (bytes_in_piece_ > 0) EndPiece();
  return std::move(encoded_);
}

void PieceChecksums::EndPiece() {
  encoded_ += EncodeChecksum(~state_);
  state_ = kStart;
  bytes_in_piece_ = 0;
}

}  // namespace attn
