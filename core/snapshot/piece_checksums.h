// CRC32C (Castagnoli, as in iSCSI) of a snapshot's bytes: one number for each
// piece of 1 MiB of page data, and one for the header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace attn {

inline constexpr int64_t kPieceBytes = int64_t{1} << 20;

// Checksums are written as I64, which every reader of safetensors knows.
inline constexpr int64_t kChecksumBytes = 8;

// How many pieces `data_bytes` have; the last may be shorter.
int64_t NumPieces(int64_t data_bytes);

// 8 bytes, little-endian, the upper four 0.
std::string EncodeChecksum(uint32_t checksum);

// Of all of it at once.
uint32_t Checksum(std::string_view bytes);

// Thread-compatible.
class PieceChecksums {
 public:
  // The next bytes, in any cut.
  void Add(const std::byte* data, int64_t bytes);

  // The checksums of all pieces, encoded one behind the other; once.
  std::string Finish();

 private:
  void EndPiece();

  uint32_t state_ = 0xffffffffu;
  int64_t bytes_in_piece_ = 0;
  std::string encoded_;
};

}  // namespace attn
