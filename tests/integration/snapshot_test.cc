// ExportSession and ImportSession of the real server: between servers, under
// load, damaged, broken off, and without room.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "attn/v1/session.pb.h"
#include "client/cpp/error_details.h"
#include "client/cpp/transport.h"
#include "core/snapshot/piece_checksums.h"
#include "core/snapshot/snapshot_header.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace attn::test {
namespace {

using absl::StatusCode;
using client::Client;
using client::Tensor;
using testing::ElementsAre;

constexpr int64_t kHeadDim = 16;

// [1, 2, n, 16] whose rows follow from their tokens' numbers.
Tensor Rows(int64_t first, int64_t n, float shift) {
  std::vector<float> rows;
  for (int64_t head = 0; head < 2; ++head) {
    for (int64_t token = first; token < first + n; ++token) {
      for (int64_t d = 0; d < kHeadDim; ++d) {
        const auto number =
            static_cast<float>((token * 37 + d * 11 + head) % 97);
        rows.push_back(number / 50.0F - 1.0F + shift);
      }
    }
  }
  return *Tensor::FromFloats(rows, {1, 2, n, kHeadDim});
}

absl::Status Append(Client& to, const std::string& id, uint32_t layer,
                    int64_t first, int64_t n) {
  client::AppendRequest request;
  request.session = {.session_id = id, .layer = layer};
  request.key = Rows(first, n, 0.0F);
  request.value = Rows(first, n, 0.5F);
  return to.AppendKv(request).status();
}

// What one query row sees in a layer, as bytes.
std::string Answer(Client& of, const std::string& id, uint32_t layer) {
  client::AttendRequest request;
  request.query = Rows(5, 1, 0.25F);
  request.session = client::SessionRef{.session_id = id, .layer = layer};
  const auto response = of.Attend(request);
  EXPECT_TRUE(response.ok()) << response.status();
  return response.ok() ? std::string(response->output.bytes()) : "";
}

absl::StatusOr<std::string> Export(Client& from, const std::string& id) {
  std::string bytes;
  const absl::Status status =
      from.ExportSession(id, [&bytes](std::string_view chunk) {
        bytes += chunk;
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return bytes;
}

// Gives `bytes` in pieces.
client::SnapshotSource Pieces(const std::string& bytes, size_t size) {
  return [&bytes, size,
          at = size_t{0}]() mutable -> absl::StatusOr<std::string> {
    const std::string piece = bytes.substr(std::min(at, bytes.size()), size);
    at += piece.size();
    return piece;
  };
}

class SnapshotTest : public testing::Test {
 protected:
  static client::SessionSpec Spec() {
    return {.num_layers = 2,
            .num_kv_heads = 2,
            .head_dim = kHeadDim,
            .kv_dtype = client::KvDtype::kBf16};
  }
  // Session "s" with `n` tokens in layer 0 and n + 1 in layer 1.
  void Fill(int64_t n) {
    ASSERT_TRUE(client_->CreateSession(Spec(), "s").ok());
    ASSERT_TRUE(Append(*client_, "s", 0, 0, n).ok());
    ASSERT_TRUE(Append(*client_, "s", 1, 0, n + 1).ok());
  }
  void ExpectError(const absl::Status& status, StatusCode code,
                   const std::string& reason) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_EQ(client::ErrorReason(status), reason) << status;
  }
  double Gauge(const std::string& name) { return server_.Metrics().Sum(name); }
  // A stream that breaks is noticed a moment later.
  void ExpectGaugeBecomes(const std::string& name, double value) {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (Gauge(name) != value && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    EXPECT_EQ(Gauge(name), value);
  }

  ServerProcess server_{{"--kv-memory", "8MiB", "--max-sessions", "3"}};
  std::unique_ptr<Client> client_ = server_.NewClient();
};

TEST_F(SnapshotTest, ImportedSessionsAnswerTheBytesOfTheExported) {
  Fill(200);
  const auto bytes = Export(*client_, "s");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto renamed = client_->ImportSession(Pieces(*bytes, 10'000), "t");
  ASSERT_TRUE(renamed.ok()) << renamed.status();
  EXPECT_EQ(renamed->session_id, "t");
  EXPECT_THAT(renamed->layer_lengths, ElementsAre(200, 201));
  const ServerProcess other;
  const auto there = other.NewClient();
  const auto moved = there->ImportSession(Pieces(*bytes, 1 << 20));
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->session_id, "s");
  for (const uint32_t layer : {0, 1}) {
    const std::string expected = Answer(*client_, "s", layer);
    EXPECT_TRUE(Answer(*client_, "t", layer) == expected);
    EXPECT_TRUE(Answer(*there, "s", layer) == expected);
  }
  ASSERT_TRUE(Append(*client_, "s", 0, 200, 70).ok());
  ASSERT_TRUE(Append(*there, "s", 0, 200, 70).ok());
  EXPECT_TRUE(Answer(*there, "s", 0) == Answer(*client_, "s", 0));
  EXPECT_EQ(server_.Metrics().Sum(
                "grpc_server_handled_total",
                {{"grpc_method", "ImportSession"}, {"grpc_code", "OK"}}),
            1);
}

TEST_F(SnapshotTest, EmptySessionsTravel) {
  ASSERT_TRUE(client_->CreateSession(Spec(), "s").ok());
  const auto bytes = Export(*client_, "s");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto copy = client_->ImportSession(Pieces(*bytes, 100), "t");
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_THAT(copy->layer_lengths, ElementsAre(0, 0));
}

// Token i goes to layer 0 first, then to layer 1: one moment has at most one
// more in layer 0.
TEST_F(SnapshotTest, ExportDuringAppendsIsOfOneMoment) {
  ASSERT_TRUE(client_->CreateSession(Spec(), "s").ok());
  std::atomic<int64_t> appended = 0;
  std::thread appender([&] {
    const auto mine = server_.NewClient();
    for (int64_t token = 0; token < 200; ++token) {
      EXPECT_TRUE(Append(*mine, "s", 0, token, 1).ok());
      EXPECT_TRUE(Append(*mine, "s", 1, token, 1).ok());
      ++appended;
    }
  });
  std::vector<std::string> exports;
  for (int i = 0; i < 20; ++i) {
    while (appended < 10 * i) std::this_thread::yield();
    const auto bytes = Export(*client_, "s");
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    if (bytes.ok()) exports.push_back(*bytes);
  }
  appender.join();
  for (const std::string& bytes : exports) {
    const auto copy = client_->ImportSession(Pieces(bytes, 5000), "copy");
    ASSERT_TRUE(copy.ok()) << copy.status();
    const uint64_t ahead = copy->layer_lengths[0] - copy->layer_lengths[1];
    EXPECT_LE(ahead, 1u);
    for (const uint32_t layer : {0, 1}) {
      ASSERT_TRUE(client_->CreateSession(Spec(), "model").ok());
      const auto length = static_cast<int64_t>(copy->layer_lengths[layer]);
      ASSERT_TRUE(Append(*client_, "model", layer, 0, length).ok());
      EXPECT_TRUE(Answer(*client_, "copy", layer) ==
                  Answer(*client_, "model", layer));
      ASSERT_TRUE(client_->DeleteSession("model").ok());
    }
    ASSERT_TRUE(client_->DeleteSession("copy").ok());
  }
}

TEST_F(SnapshotTest, LivingIdsAndUnknownOnesAreRefused) {
  Fill(3);
  const auto bytes = Export(*client_, "s");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  ExpectError(client_->ImportSession(Pieces(*bytes, 1 << 20)).status(),
              StatusCode::kAlreadyExists, "SESSION_EXISTS");
  ExpectError(client_->ImportSession(Pieces(*bytes, 1 << 20), "a b").status(),
              StatusCode::kInvalidArgument, "INVALID_OPTION");
  ExpectError(Export(*client_, "nobody").status(), StatusCode::kNotFound,
              "SESSION_NEVER_EXISTED");
  EXPECT_EQ(Gauge("attn_sessions"), 1);
}

TEST_F(SnapshotTest, DamageLeavesNothingBehind) {
  Fill(300);
  const double kv_bytes = Gauge("attn_kv_bytes");
  const auto bytes = Export(*client_, "s");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  for (const size_t place :
       {size_t{3}, size_t{100}, bytes->size() / 2, bytes->size() - 1}) {
    std::string damaged = *bytes;
    damaged[place] = static_cast<char>(damaged[place] ^ 4);
    ExpectError(client_->ImportSession(Pieces(damaged, 9999), "t").status(),
                StatusCode::kDataLoss, "SNAPSHOT_DAMAGED");
  }
  for (const size_t size : {size_t{0}, size_t{7}, bytes->size() - 1}) {
    const std::string cut = bytes->substr(0, size);
    ExpectError(client_->ImportSession(Pieces(cut, 9999), "t").status(),
                StatusCode::kDataLoss, "SNAPSHOT_DAMAGED");
  }
  EXPECT_EQ(Gauge("attn_kv_bytes"), kv_bytes);
  EXPECT_EQ(Gauge("attn_sessions"), 1);
  EXPECT_EQ(server_.Metrics().Sum("attn_refused_total",
                                  {{"reason", "SNAPSHOT_DAMAGED"}}),
            7);
}

// The bytes as a later version of the format would begin them.
std::string OfNextVersion(std::string bytes) {
  const std::string format(kSnapshotFormat);
  bytes.replace(bytes.find(format), format.size(), "attnserve.snapshot/2");
  const size_t head = 8 + *ParseHeaderSize(bytes.substr(0, 8));
  bytes.replace(head, 8, EncodeChecksum(Checksum(bytes.substr(0, head))));
  return bytes;
}

TEST_F(SnapshotTest, OtherVersionsOfTheFormatAreNotServed) {
  Fill(3);
  const auto bytes = Export(*client_, "s");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const std::string next = OfNextVersion(*bytes);
  const absl::Status status =
      client_->ImportSession(Pieces(next, 9999), "t").status();
  ExpectError(status, StatusCode::kUnimplemented, "NOT_SERVED");
  EXPECT_EQ(Gauge("attn_sessions"), 1);
}

TEST_F(SnapshotTest, BrokenTransfersLeaveNothingBehind) {
  Fill(300);
  const double kv_bytes = Gauge("attn_kv_bytes");
  const auto bytes = Export(*client_, "s");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const client::SnapshotSource whole = Pieces(*bytes, 10'000);
  const auto breaks = [&whole, n = 0]() mutable -> absl::StatusOr<std::string> {
    if (++n == 5) return absl::AbortedError("the disk is gone");
    return whole();
  };
  const absl::Status import = client_->ImportSession(breaks, "t").status();
  EXPECT_TRUE(absl::IsAborted(import)) << import;
  ExpectGaugeBecomes("attn_kv_bytes", kv_bytes);
  const absl::Status exported = client_->ExportSession(
      "s", [](std::string_view) { return absl::AbortedError("full"); });
  EXPECT_TRUE(absl::IsAborted(exported)) << exported;
  ASSERT_TRUE(client_->DeleteSession("s").ok());
  ExpectGaugeBecomes("attn_kv_bytes", 0);
  EXPECT_EQ(Gauge("attn_sessions"), 0);
}

TEST_F(SnapshotTest, StalledImportEndsAtItsDeadline) {
  Fill(300);
  const double kv_bytes = Gauge("attn_kv_bytes");
  const auto bytes = Export(*client_, "s");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const client::SnapshotSource whole = Pieces(*bytes, bytes->size() / 2);
  const absl::Time deadline = absl::Now() + absl::Seconds(1);
  const auto stalls = [&, n = 0]() mutable {
    if (++n == 2) {
      while (Gauge("attn_kv_bytes") == kv_bytes && absl::Now() < deadline) {
      }
      EXPECT_LT(absl::Now(), deadline) << "half of it never came";
      ExpectGaugeBecomes("attn_kv_bytes", kv_bytes);
    }
    return whole();
  };
  const absl::Status status =
      client_->ImportSession(stalls, "t", {.deadline = absl::Seconds(1)})
          .status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_EQ(Gauge("attn_sessions"), 1);
}

TEST_F(SnapshotTest, SpentBudgetsRefuse) {
  Fill(9000);
  const auto bytes = Export(*client_, "s");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const ServerProcess tiny({"--kv-memory", "1MiB"});
  ExpectError(tiny.NewClient()->ImportSession(Pieces(*bytes, 1 << 20)).status(),
              StatusCode::kResourceExhausted, "KV_MEMORY");
  EXPECT_EQ(tiny.Metrics().Sum("attn_kv_bytes"), 0);
  ASSERT_TRUE(client_->CreateSession(Spec(), "second").ok());
  ASSERT_TRUE(client_->CreateSession(Spec(), "third").ok());
  const double kv_bytes = Gauge("attn_kv_bytes");
  ExpectError(client_->ImportSession(Pieces(*bytes, 1 << 20), "t").status(),
              StatusCode::kResourceExhausted, "QUOTA");
  EXPECT_EQ(Gauge("attn_kv_bytes"), kv_bytes);
}

TEST_F(SnapshotTest, IdBelongsInTheFirstMessage) {
  const auto transport =
      client::Transport::Create({.address = server_.grpc_address()});
  ASSERT_TRUE(transport.ok());
  const auto stream =
      (*transport)->OpenStream("/attn.v1.SessionService/ImportSession", {});
  v1::ImportSessionRequest message;
  message.set_session_id("t");
  for (int i = 0; i < 2; ++i) {
    client::WireMessage wire;
    wire.Append(message.SerializeAsString());
    stream->Write(std::move(wire));
  }
  v1::Session reply;
  EXPECT_FALSE(stream->Read(reply));
  const absl::Status status = stream->Finish();
  ExpectError(status, StatusCode::kInvalidArgument, "INVALID_OPTION");
  EXPECT_EQ(status.message(),
            "session_id must be in the first message alone; got t");
}

}  // namespace
}  // namespace attn::test
