// Tensors of a request that lie in shared memory.
#include <unistd.h>

#include <array>
#include <numeric>
#include <string>

#include "attn/v1/attention.pb.h"
#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/shared_memory.h"
#include "server/wire_codec.h"
#include "tests/unit/server/fragmented_message.h"

namespace attn {
namespace {

using testing::ElementsAre;

class SharedTensorTest : public testing::Test {
 protected:
  SharedTensorTest() {
    // The region's number at each of its bytes.
    std::string numbers(64, '\0');
    std::iota(numbers.begin(), numbers.end(), '\0');
    EXPECT_EQ(pwrite(grant_.region->fd(), numbers.data(), numbers.size(), 0),
              64);
    request_.mutable_value()->set_data("vvvvVVVV");
    *request_.mutable_key()->mutable_shared() = Range(10, 8);
  }

  v1::SharedRange Range(uint64_t offset, uint64_t size) const {
    v1::SharedRange range;
    range.set_region_id(grant_.region_id);
    range.set_offset(offset);
    range.set_size(size);
    return range;
  }

  void ExpectRefusal(const SharedMemory* memory, const std::string& field) {
    const absl::Status status =
        FragmentedMessage(request_.SerializeAsString()).Decode(memory).status;
    EXPECT_EQ(ReasonOf(status), Reason::kInvalidTensor) << status;
    EXPECT_EQ(FieldOf(status), field) << status;
  }

  SharedMemory memory_{{.max_bytes = 64, .random = [] { return 5; }}};
  const SharedMemory::Grant grant_ = *memory_.Open(64);
  v1::AttendRequest request_;
};

TEST_F(SharedTensorTest, IsReadAsAPartOfTheMessage) {
  FragmentedMessage message(request_.SerializeAsString(), 7);
  const DecodedRequest decoded = message.Decode(&memory_);
  ASSERT_TRUE(decoded.status.ok()) << decoded.status;
  EXPECT_EQ(decoded.spec.key.data_bytes, 8);
  std::array<char, 8> key{};
  message.bytes().CopyTo(decoded.places.key, key.data());
  EXPECT_THAT(key, ElementsAre(10, 11, 12, 13, 14, 15, 16, 17));
  EXPECT_EQ(message.Cut(decoded.places.value), "vvvvVVVV");
}

TEST_F(SharedTensorTest, IsRefusedWhereNoMemoryIsShared) {
  ExpectRefusal(nullptr, "key.shared");
}

TEST_F(SharedTensorTest, IsRefusedBesideData) {
  request_.mutable_key()->set_data("k");
  ExpectRefusal(&memory_, "key.data");
}

TEST_F(SharedTensorTest, IsRefusedBeyondItsRegion) {
  *request_.mutable_key()->mutable_shared() = Range(60, 5);
  ExpectRefusal(&memory_, "key.shared");
}

TEST_F(SharedTensorTest, IsRefusedByAnotherId) {
  request_.mutable_key()->mutable_shared()->set_region_id("guess");
  ExpectRefusal(&memory_, "key.shared.region_id");
}

}  // namespace
}  // namespace attn
