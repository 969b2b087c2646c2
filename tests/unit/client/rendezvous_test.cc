#include "client/cpp/rendezvous.h"

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attn::client {
namespace {

using testing::ElementsAre;

struct Vector {
  std::vector<std::string> servers;
  std::string session_id;
  std::string routing_key;
  std::vector<std::string> weights;
  std::string owner;
};

// Those that the Python client is tested with, too.
std::vector<Vector> Vectors() {
  std::ifstream file(ATTN_RENDEZVOUS_VECTORS);
  std::vector<Vector> vectors;
  for (std::string line; std::getline(file, line);) {
    if (line.front() != '#') {
      const std::vector<std::string> cells = absl::StrSplit(line, '\t');
      vectors.push_back({absl::StrSplit(cells[0], ','), cells[1], cells[2],
                         absl::StrSplit(cells[3], ','), cells[4]});
    }
  }
  return vectors;
}

std::vector<std::string> Servers(int count) {
  std::vector<std::string> servers;
  for (int i = 0; i < count; ++i) {
    servers.push_back(absl::StrCat("attnserve-", i, ".attnserve:8001"));
  }
  return servers;
}

std::string Owner(const std::vector<std::string>& servers, int session) {
  return servers[OwnerOf(servers, absl::StrCat("s", session))];
}

TEST(RendezvousTest, AgreesWithTheVectors) {
  const std::vector<Vector> vectors = Vectors();
  ASSERT_EQ(vectors.size(), 40u);
  for (const Vector& vector : vectors) {
    EXPECT_EQ(RoutingKey(vector.session_id), vector.routing_key);
    for (size_t i = 0; i < vector.servers.size(); ++i) {
      EXPECT_EQ(absl::StrCat(absl::Hex(
                    RendezvousWeight(vector.servers[i], vector.routing_key),
                    absl::kZeroPad16)),
                vector.weights[i]);
    }
    EXPECT_EQ(vector.servers[OwnerOf(vector.servers, vector.session_id)],
              vector.owner);
  }
}

TEST(RendezvousTest, SharesAreEven) {
  const std::vector<std::string> servers = Servers(3);
  std::vector<int> sessions(3, 0);
  for (int i = 0; i < 3000; ++i) {
    ++sessions[OwnerOf(servers, absl::StrCat("s", i))];
  }
  // Six standard deviations of a fair choice: 155.
  EXPECT_THAT(sessions, testing::Each(testing::AllOf(testing::Ge(845),
                                                     testing::Le(1155))));
}

TEST(RendezvousTest, ServerThatLeavesMovesItsOwnAlone) {
  const std::vector<std::string> all = Servers(4);
  const std::vector<std::string> rest(all.begin(), all.end() - 1);
  for (int i = 0; i < 1000; ++i) {
    if (const std::string owner = Owner(all, i); owner != all.back()) {
      EXPECT_EQ(Owner(rest, i), owner) << i;
    }
  }
}

TEST(RendezvousTest, OrderOfTheListDoesNotMatter) {
  const std::vector<std::string> servers = Servers(5);
  const std::vector<std::string> reversed(servers.rbegin(), servers.rend());
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(Owner(servers, i), Owner(reversed, i)) << i;
  }
}

TEST(ResolveAddressesTest, GivesEachAddressOnceWithThePort) {
  EXPECT_THAT(ResolveAddresses("127.0.0.1:8001").value(),
              ElementsAre("127.0.0.1:8001"));
  EXPECT_THAT(ResolveAddresses("::1:8001").value(), ElementsAre("[::1]:8001"));
  EXPECT_THAT(ResolveAddresses("localhost:7").value(),
              testing::Contains("127.0.0.1:7"));
}

TEST(ResolveAddressesTest, SaysWhatIsWrong) {
  for (const char* target : {"", "host", ":8001", "host:"}) {
    EXPECT_EQ(ResolveAddresses(target).status().code(),
              absl::StatusCode::kInvalidArgument)
        << target;
  }
  // RFC 6761: never an address.
  EXPECT_EQ(ResolveAddresses("attnserve.invalid:8001").status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace attn::client
