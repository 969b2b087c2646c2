#include "server/shared_memory.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

std::string MakeRegionId(const std::function<uint64_t()>& random) {
  const uint64_t bits[] = {random(), random()};
  std::string id(sizeof(bits), '\0');
  std::memcpy(id.data(), bits, sizeof(bits));
  return id;
}

}  // namespace

// A region and its share of max_bytes.
class SharedMemory::Holding {
 public:
  Holding(SharedMemory& memory, std::unique_ptr<SharedRegion> region)
      : memory_(memory), region_(std::move(region)) {}
  ~Holding() {
    const int64_t size = region_->size();
    region_.reset();
    memory_.Release(size);
  }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

  const SharedRegion* region() const { return region_.get(); }

 private:
  SharedMemory& memory_;
  std::unique_ptr<SharedRegion> region_;
};

absl::StatusOr<SharedMemory::Grant> SharedMemory::Open(uint64_t size) {
  ATTN_RETURN_IF_ERROR(Reserve(size));
  const auto bytes = static_cast<int64_t>(size);
  auto created = SharedRegion::Create(bytes);
  if (!created.ok()) {
    Release(bytes);
    return created.status();
  }
  const auto holding = std::make_shared<Holding>(*this, *std::move(created));
  Grant grant{.region_id = MakeRegionId(options_.random),
              .region = {holding, holding->region()}};
  absl::MutexLock lock(&mutex_);
  regions_[grant.region_id] = grant.region;
  return grant;
}

void SharedMemory::Close(const std::string& region_id) {
  // Goes after the lock: its end takes the lock, too.
  std::shared_ptr<const SharedRegion> region;
  absl::MutexLock lock(&mutex_);
  const auto found = regions_.find(region_id);
  if (found == regions_.end()) return;
  region = std::move(found->second);
  regions_.erase(found);
}

absl::StatusOr<SharedMemory::Bytes> SharedMemory::Find(
    std::string_view field, const Range& range) const {
  Bytes bytes;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = regions_.find(std::string(range.region_id));
    if (found != regions_.end()) bytes.region = found->second;
  }
  const std::string name(field);
  if (bytes.region == nullptr) {
    return InvalidTensor(absl::StrCat(name, ".shared.region_id"),
                         "must be of a region whose connection is open",
                         "another");
  }
  const auto region_size = static_cast<uint64_t>(bytes.region->size());
  if (range.offset > region_size || range.size > region_size - range.offset) {
    return InvalidTensor(
        absl::StrCat(name, ".shared"),
        absl::StrCat("must end within its region of ", region_size, " bytes"),
        absl::StrCat("offset ", range.offset, " and size ", range.size));
  }
  bytes.data = bytes.region->data() + range.offset;
  bytes.size = static_cast<int64_t>(range.size);
  return bytes;
}

int64_t SharedMemory::used_bytes() const {
  absl::MutexLock lock(&mutex_);
  return used_bytes_;
}

absl::Status SharedMemory::Reserve(uint64_t size) {
  if (size == 0) return InvalidOption("size", "must be at least 1 byte", "0");
  absl::MutexLock lock(&mutex_);
  const int64_t left = options_.max_bytes - used_bytes_;
  if (size > static_cast<uint64_t>(left)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a region must fit into what is left of --shared-memory, ",
                     left, " of ", options_.max_bytes, " bytes; got ", size));
  }
  used_bytes_ += static_cast<int64_t>(size);
  return absl::OkStatus();
}

void SharedMemory::Release(int64_t size) {
  absl::MutexLock lock(&mutex_);
  used_bytes_ -= size;
}

}  // namespace attn
