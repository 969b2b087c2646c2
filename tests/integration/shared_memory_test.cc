// Tensors in memory that the real server shares, through the real client: the
// same bytes as sent ones, and nothing left when the client goes.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "client/cpp/error_details.h"
#include "client/cpp/shared_region.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire_case.h"

namespace attn::test {
namespace {

using absl::StatusCode;
using client::SharedRegion;
using client::Tensor;
using testing::ElementsAre;
using testing::Field;

constexpr int64_t kRegionBytes = 1 << 20;

std::string SocketPath() {
  return testing::TempDir() + "attn_shared_" + std::to_string(getpid());
}

class SharedMemoryTest : public testing::Test {
 protected:
  static client::AttendRequest Request() {
    CaseOptions options;
    options.num_q_heads = 4;
    options.q_len = 3;
    options.kv_len = 100;
    return ToRequest(MakeCase(options));
  }

  // The tensor's copy in the region.
  Tensor Put(const Tensor& tensor) {
    std::memcpy(region_->data() + used_bytes_, tensor.bytes().data(),
                tensor.bytes().size());
    auto placed = region_->Place(tensor.dtype(), tensor.shape(), used_bytes_);
    used_bytes_ += static_cast<int64_t>(tensor.bytes().size());
    return *placed;
  }

  client::AttendRequest InSharedMemory(client::AttendRequest request) {
    request.query = Put(request.query);
    request.key = Put(request.key);
    request.value = Put(request.value);
    return request;
  }

  // "s", for keys and values of that shape.
  void CreateSession(const Tensor& key) {
    const client::SessionSpec spec{
        .num_layers = 1,
        .num_kv_heads = static_cast<uint32_t>(key.shape()[1]),
        .head_dim = static_cast<uint32_t>(key.shape()[3])};
    ASSERT_TRUE(client_->CreateSession(spec, "s").ok());
  }

  static void ExpectViolation(const absl::Status& status,
                              const std::string& field) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(client::FieldViolations(status),
                ElementsAre(Field(&client::FieldViolation::field, field)));
  }

  void ExpectSharedBytes(double expected) {
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (SharedBytes() != expected &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(SharedBytes(), expected);
  }
  double SharedBytes() const {
    return server_.Metrics().Sum("attn_shared_memory_bytes", {});
  }

  const std::string path_ = SocketPath();
  ServerProcess server_{
      {"--shared-memory-socket", path_, "--shared-memory", "2MiB"}};
  const std::unique_ptr<client::Client> client_ = server_.NewClient();
  std::shared_ptr<SharedRegion> region_ =
      *SharedRegion::Open(path_, kRegionBytes);
  int64_t used_bytes_ = 0;
};

TEST_F(SharedMemoryTest, AnswersTheBytesOfSentTensors) {
  const auto sent = client_->Attend(Request());
  const auto shared = client_->Attend(InSharedMemory(Request()));
  ASSERT_TRUE(sent.ok()) << sent.status();
  ASSERT_TRUE(shared.ok()) << shared.status();
  EXPECT_EQ(shared->output.bytes(), sent->output.bytes());
}

TEST_F(SharedMemoryTest, PutsTheOutputWhereItIsAsked) {
  client::AttendRequest request = InSharedMemory(Request());
  const auto sent = client_->Attend(request);
  ASSERT_TRUE(sent.ok()) << sent.status();
  request.output.into =
      *region_->Place(sent->output.dtype(), sent->output.shape(), used_bytes_);
  request.output.return_lse = true;
  const auto shared = client_->Attend(request);
  ASSERT_TRUE(shared.ok()) << shared.status();
  EXPECT_FALSE(shared->output.present());
  EXPECT_TRUE(shared->lse.present());
  EXPECT_EQ(request.output.into.bytes(), sent->output.bytes());
}

TEST_F(SharedMemoryTest, PutsASessionsOutputWhereItIsAsked) {
  const client::AttendRequest whole = Request();
  CreateSession(whole.key);
  const auto sent = client_->Attend(whole);
  ASSERT_TRUE(sent.ok()) << sent.status();
  client::AttendRequest request = whole;
  request.session = client::SessionRef{.session_id = "s"};
  request.output.into =
      *region_->Place(sent->output.dtype(), sent->output.shape(), 0);
  const auto shared = client_->Attend(request);
  ASSERT_TRUE(shared.ok()) << shared.status();
  EXPECT_EQ(request.output.into.bytes(), sent->output.bytes());
}

TEST_F(SharedMemoryTest, RefusesAPlaceThatIsNotOfTheOutputsSize) {
  client::AttendRequest request = Request();
  request.output.into = *region_->Place(client::DType::kF32, {3}, 0);
  ExpectViolation(client_->Attend(request).status(), "output.shared.size");
  request.output.into = *Tensor::FromFloats({1}, {1});
  ExpectViolation(client_->Attend(request).status(), "output.shared.region_id");
}

TEST_F(SharedMemoryTest, ServesBatches) {
  const auto results =
      client_->AttendBatch({InSharedMemory(Request()), Request()});
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_TRUE((*results)[0].status.ok()) << (*results)[0].status;
  EXPECT_EQ((*results)[0].response.output.bytes(),
            (*results)[1].response.output.bytes());
}

TEST_F(SharedMemoryTest, ServesSessions) {
  const client::AttendRequest request = Request();
  CreateSession(request.key);
  client::AppendRequest append;
  append.session.session_id = "s";
  append.key = Put(request.key);
  append.value = Put(request.value);
  const auto length = client_->AppendKv(append);
  ASSERT_TRUE(length.ok()) << length.status();
  client::AttendRequest query;
  query.session = client::SessionRef{.session_id = "s"};
  query.query = Put(request.query);
  const auto answer = client_->Attend(query);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->output.bytes(), client_->Attend(request)->output.bytes());
}

TEST_F(SharedMemoryTest, RefusesARegionWhoseConnectionIsClosed) {
  client::AttendRequest request = InSharedMemory(Request());
  const Tensor& key = request.key;
  const auto place = *key.shared_place();
  const auto bytes = std::make_shared<std::string>(key.bytes());
  const Tensor orphan =
      Tensor::InSharedMemory(key.dtype(), key.shape(), bytes, *bytes, place);
  request = Request();
  request.key = orphan;
  EXPECT_TRUE(client_->Attend(request).ok());
  region_.reset();
  ExpectSharedBytes(0);
  ExpectViolation(client_->Attend(request).status(), "key.shared.region_id");
}

TEST_F(SharedMemoryTest, BudgetIsForAllClients) {
  EXPECT_TRUE(SharedRegion::Open(path_, kRegionBytes).ok());
  ExpectSharedBytes(kRegionBytes);
  EXPECT_EQ(SharedRegion::Open(path_, kRegionBytes + 1).status().code(),
            StatusCode::kResourceExhausted);
}

TEST_F(SharedMemoryTest, KilledClientLeavesNothing) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto region = SharedRegion::Open(path_, kRegionBytes);
    [[maybe_unused]] const ssize_t said =
        write(ready[1], region.ok() ? "y" : "n", 1);
    pause();
    _exit(0);
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  ExpectSharedBytes(2 * kRegionBytes);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ExpectSharedBytes(kRegionBytes);
  close(ready[0]);
  close(ready[1]);
}

TEST_F(SharedMemoryTest, SecondServerDoesNotTakeTheSocket) {
  EXPECT_DEATH(ServerProcess({"--shared-memory-socket", path_}),
               "shared-memory-socket: cannot listen");
}

TEST(SharedMemoryOffTest, NothingIsSharedUnlessAsked) {
  const ServerProcess server;
  CaseOptions options;
  client::AttendRequest request = ToRequest(MakeCase(options));
  const Tensor key = request.key;
  request.key = Tensor::InSharedMemory(key.dtype(), key.shape(), key.owner(),
                                       key.bytes(), {});
  const absl::Status status = server.NewClient()->Attend(request).status();
  EXPECT_EQ(client::ErrorReason(status), "INVALID_TENSOR") << status;
  EXPECT_EQ(SharedRegion::Open("/nonexistent/socket", 1).status().code(),
            StatusCode::kUnavailable);
}

TEST_F(SharedMemoryTest, PlaceRefusesWhatIsNotWithinTheRegion) {
  using client::DType;
  EXPECT_TRUE(region_->Place(DType::kF32, {kRegionBytes / 4}, 0).ok());
  EXPECT_FALSE(region_->Place(DType::kF32, {kRegionBytes / 4}, 4).ok());
  EXPECT_FALSE(region_->Place(DType::kF32, {1}, -4).ok());
  EXPECT_FALSE(region_->Place(DType::kF32, {1}, kRegionBytes).ok());
  EXPECT_FALSE(region_->Place(DType::kUnspecified, {1}, 0).ok());
  EXPECT_FALSE(region_->Place(DType::kF64, {INT64_MAX}, 0).ok());
  EXPECT_FALSE(SharedRegion::Open(path_, 0).ok());
}

}  // namespace
}  // namespace attn::test
