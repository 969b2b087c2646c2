#include "server/memory_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>

#include "attn/v1/shared_memory.pb.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

// A client that sends what it likes. Waits for answers.
class RawClient {
 public:
  explicit RawClient(const std::string& path)
      : socket_(socket(AF_UNIX, SOCK_SEQPACKET, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    is_connected_ =
        connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) == 0;
  }

  bool is_connected() const { return is_connected_; }
  // Where the last answer came with a descriptor.
  const Descriptor& file() const { return file_; }

  void Send(const std::string& packet) {
    send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
  }
  void Ask(uint64_t size, const std::string& token = "") {
    v1::RegionRequest request;
    request.set_size(size);
    request.set_token(token);
    Send(request.SerializeAsString());
  }
  // Nothing when the server hung up.
  std::optional<v1::RegionGrant> Receive() {
    std::array<char, 4096> packet{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec data{packet.data(), packet.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = recvmsg(socket_.get(), &message, 0);
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
      file_ = Descriptor(fd);
    }
    v1::RegionGrant grant;
    if (size <= 0) return std::nullopt;
    EXPECT_TRUE(grant.ParseFromArray(packet.data(), static_cast<int>(size)));
    return grant;
  }

 private:
  Descriptor socket_;
  bool is_connected_ = false;
  Descriptor file_;
};

// Everybody who does not show a token of somebody else.
absl::Status Admit(const std::string& token) {
  return token.empty() || token == "good"
             ? absl::OkStatus()
             : absl::UnauthenticatedError("the bearer token is not known");
}

class MemorySocketTest : public testing::Test {
 protected:
  ~MemorySocketTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<MemorySocket> Start() {
    auto socket = MemorySocket::Start(path_, memory_, Admit);
    EXPECT_TRUE(socket.ok()) << socket.status();
    return *std::move(socket);
  }

  // The server hangs up on a client that sends these.
  void ExpectHangUp(const std::vector<std::string>& packets) {
    RawClient client(path_);
    for (const std::string& packet : packets) client.Send(packet);
    while (client.Receive().has_value()) {
    }
    EXPECT_TRUE(client.is_connected());
  }

  const std::filesystem::path folder_ = [] {
    std::string name = testing::TempDir() + "memory_socket_XXXXXX";
    return std::filesystem::path(mkdtemp(name.data()));
  }();
  const std::string path_ = folder_ / "s";
  uint64_t next_random_ = 1;
  SharedMemory memory_{
      {.max_bytes = 10000, .random = [this] { return next_random_++; }}};
};

TEST_F(MemorySocketTest, GrantsNothingToWhoIsNotLetIn) {
  const auto socket = Start();
  RawClient client(path_);
  client.Ask(5000, "bad");
  const auto refusal = client.Receive();
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->status().code(), 16);  // UNAUTHENTICATED
  EXPECT_EQ(refusal->region_id(), "");
  EXPECT_FALSE(client.file().is_open());
  EXPECT_FALSE(client.Receive().has_value());
  EXPECT_EQ(memory_.used_bytes(), 0);
}

TEST_F(MemorySocketTest, TakesATokenAsLongAsThereAre) {
  const auto socket = Start();
  RawClient client(path_);
  client.Ask(5000, std::string(4096, 'x'));
  const auto refusal = client.Receive();
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->status().code(), 16);
}

TEST_F(MemorySocketTest, GrantsARegion) {
  const auto socket = Start();
  RawClient client(path_);
  client.Ask(5000);
  const auto grant = client.Receive();
  ASSERT_TRUE(grant.has_value());
  EXPECT_FALSE(grant->has_status()) << grant->status().message();
  EXPECT_EQ(grant->size(), 5000u);
  ASSERT_EQ(pwrite(client.file().get(), "x", 1, 4999), 1);
  const auto found = memory_.Find("key", {grant->region_id(), 4999, 1});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(*found->data, std::byte{'x'});
}

TEST_F(MemorySocketTest, RegionEndsWithItsConnection) {
  const auto socket = Start();
  std::string id;
  {
    RawClient client(path_);
    client.Ask(10000);
    id = client.Receive()->region_id();
  }
  // Refused until the server has heard of the end.
  std::optional<v1::RegionGrant> grant;
  do {
    RawClient next(path_);
    next.Ask(10000);
    grant = next.Receive();
    ASSERT_TRUE(grant.has_value());
  } while (grant->has_status());
  EXPECT_FALSE(memory_.Find("key", {id, 0, 1}).ok());
}

TEST_F(MemorySocketTest, RefusalSaysWhy) {
  const auto socket = Start();
  RawClient client(path_);
  client.Ask(10001);
  const auto grant = client.Receive();
  ASSERT_TRUE(grant.has_value());
  EXPECT_EQ(grant->status().code(), 8);
  EXPECT_FALSE(client.file().is_open());
  EXPECT_FALSE(client.Receive().has_value());
}

TEST_F(MemorySocketTest, HangsUpOnWhatIsNoRequest) {
  const auto socket = Start();
  const std::string request("\x08\x01", 2);
  ExpectHangUp({"\xff\xff"});
  ExpectHangUp({""});
  ExpectHangUp({std::string(100000, '\x08')});
  ExpectHangUp({request, request});
  RawClient client(path_);
  client.Ask(1);
  EXPECT_TRUE(client.Receive().has_value());
}

TEST_F(MemorySocketTest, HangsUpOnOneConnectionTooMany) {
  const auto socket = Start();
  std::vector<RawClient> clients;
  for (size_t i = 0; i < MemorySocket::kMaxConnections; ++i) {
    clients.emplace_back(path_);
    clients.back().Ask(1);
    ASSERT_TRUE(clients.back().Receive().has_value()) << i;
  }
  EXPECT_FALSE(RawClient(path_).Receive().has_value());
}

TEST_F(MemorySocketTest, FileIsForUserAndGroupAndGoesWithTheSocket) {
  {
    const auto socket = Start();
    struct stat file {};
    ASSERT_EQ(stat(path_.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777u, 0660u);
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(MemorySocketTest, TakesThePlaceOfAFileThatNobodyListensAt) {
  {
    Descriptor left(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    ASSERT_EQ(bind(left.get(), reinterpret_cast<const sockaddr*>(&address),
                   sizeof(address)),
              0);
  }
  const auto socket = Start();
  EXPECT_TRUE(RawClient(path_).is_connected());
}

TEST_F(MemorySocketTest, LeavesALivingSocketAlone) {
  const auto socket = Start();
  EXPECT_EQ(MemorySocket::Start(path_, memory_, Admit).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(RawClient(path_).is_connected());
}

TEST_F(MemorySocketTest, PathMustFitASocket) {
  for (const std::string& path : {std::string(), std::string(108, 'x')}) {
    EXPECT_EQ(MemorySocket::Start(path, memory_, Admit).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace attn
