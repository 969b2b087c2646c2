#include "client/cpp/attnctl/capacity_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace attn::attnctl {
namespace {

using client::KvDtype;
using ::testing::DoubleNear;
using ::testing::HasSubstr;

// 1 GiB a session, 37 GB/s of reading, 10 GiB of pages a replica.
CapacityRequest Request() {
  CapacityRequest request;
  request.spec = {.num_layers = 32,
                  .num_kv_heads = 8,
                  .head_dim = 128,
                  .kv_dtype = KvDtype::kBf16};
  request.num_q_heads = 32;
  request.tokens = 8192;
  request.sessions = 24;
  request.machine_memory = kMemoryBesidePages + 10 * kGibibyte;
  return request;
}

std::string Refusal(const CapacityRequest& request) {
  return std::string(MakePlan(request).status().message());
}

TEST(CapacityPlanTest, MemoryBoundsReplicas) {
  const CapacityPlan plan = *MakePlan(Request());
  EXPECT_EQ(plan.all_bytes, 24 * kGibibyte);
  EXPECT_EQ(plan.sessions_by_memory, 8);  // 80 % of 10 GiB.
  CapacityRequest few = Request();
  few.sessions = 2;
  EXPECT_EQ(MakePlan(few)->sessions_by_memory, 8);
  EXPECT_EQ(plan.replicas_by_memory, 3);
  EXPECT_EQ(plan.replicas_by_bandwidth, 0);
  EXPECT_EQ(plan.replicas, 3);
  EXPECT_EQ(plan.sessions_per_replica, 8);
  EXPECT_EQ(plan.kv_memory, 10 * kGibibyte);
  EXPECT_EQ(plan.max_sessions, 10);
}

TEST(CapacityPlanTest, BandwidthBoundsReplicas) {
  CapacityRequest request = Request();
  request.memory_bandwidth = 50e9;
  request.tokens_per_second = 10;
  const CapacityPlan plan = *MakePlan(request);
  EXPECT_THAT(plan.decode_bandwidth, DoubleNear(44e9, 1));
  // 44e9 / 2^30 tokens/s; 240 are asked of 80 % of it.
  EXPECT_THAT(plan.max_tokens_per_second, DoubleNear(40.98, 0.01));
  EXPECT_EQ(plan.replicas_by_bandwidth, 8);
  EXPECT_EQ(plan.replicas, 8);
  EXPECT_EQ(plan.sessions_per_replica, 3);
  EXPECT_EQ(plan.kv_memory, 3840 * kMebibyte);  // 3 GiB / 0.8
}

TEST(CapacityPlanTest, WireCarriesQueryKeyValueAndOutput) {
  // 32 layers x (32 + 8) heads x (128 + 128) elements of 4 bytes.
  EXPECT_EQ(MakePlan(Request())->wire_bytes_per_token, 32 * 40 * 256 * 4);
}

TEST(CapacityPlanTest, DtypesDecodeAtTheirMeasuredShare) {
  CapacityRequest request = Request();
  const auto share = [&request](KvDtype kv_dtype) {
    request.spec.kv_dtype = kv_dtype;
    return MakePlan(request)->decode_fraction;
  };
  EXPECT_EQ(share(KvDtype::kInt8), 0.46);
  EXPECT_EQ(share(KvDtype::kF16), 0.91);
  request.sessions = 1;
  request.tokens = 64;
  EXPECT_EQ(share(KvDtype::kF32), 0.70);
  request.num_q_heads = 0;
  EXPECT_EQ(share(KvDtype::kUnspecified), 0.75);
}

TEST(CapacityPlanTest, SessionMustFitIntoAReplica) {
  CapacityRequest request = Request();
  request.machine_memory = 6 * kGibibyte;
  EXPECT_EQ(Refusal(request),
            "a session of 1 GiB must fit into a replica's memory less 5.5 GiB "
            "for calls, less the headroom; got 6 GiB");
}

TEST(CapacityPlanTest, RefusesNumbersOutOfRange) {
  CapacityRequest request = Request();
  request.headroom = 1;
  EXPECT_THAT(Refusal(request), HasSubstr("headroom must be from 0"));
  request = Request();
  request.num_q_heads = 12;
  EXPECT_THAT(Refusal(request), HasSubstr("a multiple of the KV heads; got"));
  request = Request();
  request.tokens = 0;
  EXPECT_THAT(Refusal(request), HasSubstr("tokens must be positive"));
  request = Request();
  request.sessions = int64_t{1} << 40;
  EXPECT_THAT(Refusal(request), HasSubstr("2^53"));
  request = Request();
  request.machine_memory = int64_t{1} << 60;
  EXPECT_THAT(Refusal(request), HasSubstr("memory must be at most 2^53"));
  request = Request();
  request.tokens_per_second = 1e12;
  EXPECT_THAT(Refusal(request), HasSubstr("a million replicas"));
}

}  // namespace
}  // namespace attn::attnctl
