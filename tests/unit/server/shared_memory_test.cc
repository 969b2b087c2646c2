#include "server/shared_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

using testing::HasSubstr;

class SharedMemoryTest : public testing::Test {
 protected:
  SharedMemory::Grant Open(uint64_t size) { return *memory_.Open(size); }

  uint64_t next_random_ = 1;
  SharedMemory memory_{
      {.max_bytes = 10000, .random = [this] { return next_random_++; }}};
};

TEST(SharedRegionTest, ShowsWhatTheClientWrites) {
  const auto region = *SharedRegion::Create(5000);
  EXPECT_EQ(region->data()[4999], std::byte{0});
  void* written =
      mmap(nullptr, 5000, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd(), 0);
  ASSERT_NE(written, MAP_FAILED);
  std::memset(written, 7, 5000);
  EXPECT_EQ(region->data()[4999], std::byte{7});
  munmap(written, 5000);
}

TEST(SharedRegionTest, NobodyChangesItsSize) {
  const auto region = *SharedRegion::Create(5000);
  EXPECT_EQ(ftruncate(region->fd(), 10), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(ftruncate(region->fd(), 1 << 20), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(SharedRegionTest, GivesMemoryBackThoughTheClientKeepsTheFile) {
  auto region = *SharedRegion::Create(1 << 20);
  const Descriptor kept(dup(region->fd()));
  struct stat file {};
  fstat(kept.get(), &file);
  EXPECT_GT(file.st_blocks, 0);
  region.reset();
  fstat(kept.get(), &file);
  EXPECT_EQ(file.st_blocks, 0);
}

TEST_F(SharedMemoryTest, FindsAStretchOfARegion) {
  const auto grant = Open(100);
  const auto found = memory_.Find(
      "key", {.region_id = grant.region_id, .offset = 40, .size = 60});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->data, grant.region->data() + 40);
  EXPECT_EQ(found->size, 60);
}

TEST_F(SharedMemoryTest, RefusesWhatIsNotWithinTheRegion) {
  const std::string id = Open(100).region_id;
  const SharedMemory::Range ranges[] = {{id, 0, 101},
                                        {id, 100, 1},
                                        {id, 101, 0},
                                        {id, UINT64_MAX, 2},
                                        {id, 1, UINT64_MAX}};
  for (const auto& range : ranges) {
    const absl::Status status = memory_.Find("key", range).status();
    EXPECT_EQ(FieldOf(status), "key.shared") << range.offset;
    EXPECT_EQ(ReasonOf(status), Reason::kInvalidTensor);
  }
  EXPECT_TRUE(memory_.Find("key", {id, 100, 0}).ok());
}

TEST_F(SharedMemoryTest, FindsNoRegionByAnIdThatItDidNotGive) {
  const std::string id = Open(100).region_id;
  EXPECT_EQ(id.size(), 16u);
  for (const std::string& other :
       {std::string(), std::string(16, 'x'), id.substr(0, 8)}) {
    EXPECT_EQ(FieldOf(memory_.Find("key", {other, 0, 1}).status()),
              "key.shared.region_id");
  }
}

TEST_F(SharedMemoryTest, ClosedRegionStaysForItsUsersAlone) {
  auto grant = Open(4000);
  memory_.Close(grant.region_id);
  EXPECT_FALSE(memory_.Find("key", {grant.region_id, 0, 1}).ok());
  EXPECT_EQ(grant.region->data()[3999], std::byte{0});
  EXPECT_EQ(memory_.used_bytes(), 4000);
  grant.region.reset();
  EXPECT_EQ(memory_.used_bytes(), 0);
}

TEST_F(SharedMemoryTest, RegionsShareOneBudget) {
  const auto grant = Open(6000);
  const absl::Status status = memory_.Open(4001).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("4000 of 10000 bytes; got 4001"));
  EXPECT_FALSE(memory_.Open(UINT64_MAX).ok());
  EXPECT_TRUE(memory_.Open(4000).ok());
}

TEST_F(SharedMemoryTest, RefusesAnEmptyRegion) {
  EXPECT_EQ(FieldOf(memory_.Open(0).status()), "size");
}

}  // namespace
}  // namespace attn
