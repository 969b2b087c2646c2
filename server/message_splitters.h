// Messages split into small fields, which protobuf's generated code parses with
// all of its rules, and tensors, whose bytes stay where they are. Part of pass
// 1 (wire_codec.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/attention/params.h"
#include "core/attention/request_spec.h"
#include "server/fragmented_bytes.h"
#include "server/message_fields.h"
#include "server/wire_codec.h"

namespace attn {

namespace v1 {
class SharedRange;
}

// Generated code turns a byte of a packed field into eight; this bounds what a
// message can make us allocate before it is validated.
inline constexpr size_t kMaxSmallBytes = size_t{4} << 20;
inline constexpr size_t kMaxTensorHeaderBytes = 1024;

// The small fields of a message, verbatim, for generated code to parse. Borrows
// the bytes. Thread-compatible, like the classes below.
class SmallFields {
 public:
  SmallFields(const FragmentedBytes& bytes, size_t max_bytes)
      : bytes_(bytes), max_bytes_(max_bytes) {}

  // False when the bound is passed.
  bool Add(const MessageField& field);

  const std::string& text() const { return text_; }

 private:
  const FragmentedBytes& bytes_;
  const size_t max_bytes_;
  std::string text_;
};

// INVALID_ARGUMENT for a message whose small fields pass kMaxSmallBytes.
absl::Status TooManySmallBytes(std::string_view field);

// What `shared`, of the tensor `name`, stands for. INVALID_ARGUMENT /
// INVALID_TENSOR if there is no such memory, or none is shared.
absl::StatusOr<SharedMemory::Bytes> FindShared(const RequestBytes& bytes,
                                               std::string_view name,
                                               const v1::SharedRange& shared);

// A tensor found so far: protobuf merges a message field that comes twice.
class TensorSplitter {
 public:
  // `name` is its path in errors; must outlive it.
  TensorSplitter(const FragmentedBytes& bytes, std::string_view name)
      : bytes_(bytes), name_(name), header_(bytes, kMaxTensorHeaderBytes) {}

  absl::Status Add(ByteRange range);
  // A tensor in shared memory becomes a part of `bytes`, so that it is read as
  // all others are.
  absl::Status Finish(const RequestBytes& bytes, TensorSpec& spec,
                      ByteRange& place) const;

 private:
  absl::Status AddField(const MessageField& field);
  absl::StatusOr<ByteRange> PlaceOfShared(const RequestBytes& bytes,
                                          const v1::SharedRange& shared) const;

  const FragmentedBytes& bytes_;
  const std::string_view name_;
  bool is_present_ = false;
  SmallFields header_;
  ByteRange data_;
};

// RopeParams. `name` is its path in errors.
class RopeSplitter {
 public:
  RopeSplitter(const FragmentedBytes& bytes, const std::string& name);

  absl::Status Add(ByteRange range);
  // What was found; nothing if there was no such field.
  absl::StatusOr<std::optional<RopeParams>> Parse() const;
  absl::Status FinishTables(const RequestBytes& bytes, RequestSpec& spec,
                            ByteRange& cos, ByteRange& sin) const;
  // The small fields as they came.
  const std::string& text() const { return small_.text(); }

 private:
  absl::Status AddField(const MessageField& field);

  const FragmentedBytes& bytes_;
  const std::string name_;
  const std::string cos_name_;
  const std::string sin_name_;
  bool is_present_ = false;
  SmallFields small_;
  TensorSplitter cos_;
  TensorSplitter sin_;
};

}  // namespace attn
