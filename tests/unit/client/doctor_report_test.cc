#include "client/cpp/attnctl/doctor_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using client::Health;
using ::testing::HasSubstr;

constexpr char kMetrics[] =
    "attn_build_info{version=\"1.2.3\",onednn=\"2.6.3\",isa=\"AVX3\"} 1\n"
    "attn_workers 4\n"
    "attn_workers_busy 1\n"
    "attn_sessions 2\n"
    "attn_kv_bytes 1048576\n"
    "attn_kv_bytes_limit 104857600\n"
    "attn_admitted_tasks_total 1000\n"
    "attn_tasks_total{outcome=\"completed\"} 1000\n"
    "attn_tasks_total{outcome=\"failed\"} 0\n"
    "attn_tasks_total{outcome=\"expired\"} 0\n"
    "attn_refused_total{reason=\"QUEUE_FULL\"} 0\n";
constexpr char kStatusz[] =
    "{\"huge_pages\":\"madvise\",\"config\":\"# Compute\\nworkers = 4\\n"
    "max-isa = auto\\n\\ngrpc-address = 127.0.0.1:8001\\n\"}";

class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest() {
    facts_.address = "127.0.0.1:8001";
    facts_.http_address = "127.0.0.1:8002";
    facts_.client_version = "1.2.3";
    facts_.health = Health::kServing;
    facts_.probe = {.is_right = true, .round_trip = absl::Microseconds(400)};
    facts_.http = ReadHttpFacts(kMetrics, kStatusz);
  }

  // Adds to what a healthy server shows.
  void Export(const std::string& samples) {
    facts_.http = ReadHttpFacts(kMetrics + samples, kStatusz);
  }
  Finding Find(const std::string& topic) const {
    for (const Finding& finding : Diagnose(facts_)) {
      if (finding.topic == topic) {
        return finding;
      }
    }
    return {Verdict::kWrong, "", "no such topic", ""};
  }
  bool IsWrong() const { return IsAnythingWrong(Diagnose(facts_)); }

  DoctorFacts facts_;
};

TEST_F(DoctorTest, HealthyServerGetsNoAdvice) {
  EXPECT_FALSE(IsWrong());
  EXPECT_EQ(
      RenderFindings(Diagnose(facts_)),
      "fine    gRPC        127.0.0.1:8001 serves\n"
      "fine    answer      right; a small call takes 400us there and back\n"
      "fine    version     1.2.3\n"
      "fine    isa         AVX3\n"
      "fine    huge pages  madvise\n"
      "fine    workers     4, 1 at work\n"
      "fine    listens on  grpc-address 127.0.0.1:8001, http-address \n"
      "fine    limits      max-request-bytes , max-reply-bytes , "
      "max-queue-tasks , max-queue-bytes , max-queue-wait , max-batch-tasks \n"
      "fine    sessions    2, 1.0 of 100.0 MiB\n"
      "fine    tasks       1000 admitted, 0 failed, 0 too late\n"
      "fine    refused     nothing\n");
}

TEST_F(DoctorTest, NobodyThereIsWrong) {
  facts_.health = absl::UnavailableError("connection refused");
  facts_.http = absl::UnavailableError("connection refused");
  EXPECT_TRUE(IsWrong());
  EXPECT_THAT(Find("gRPC").advice, HasSubstr("is a server running there?"));
  EXPECT_EQ(Find("HTTP").verdict, Verdict::kAdvice);
  EXPECT_EQ(Find("answer").found, "no such topic");
}

TEST_F(DoctorTest, PortOfHttpIsRecognised) {
  facts_.health = absl::UnavailableError("connection reset");
  facts_.is_http_port = true;
  EXPECT_EQ(Find("gRPC").found, "127.0.0.1:8001 speaks HTTP, not gRPC");
}

TEST_F(DoctorTest, DrainingServerIsWrong) {
  facts_.health = Health::kNotServing;
  EXPECT_TRUE(IsWrong());
  EXPECT_THAT(Find("gRPC").found, HasSubstr("NOT_SERVING"));
}

TEST_F(DoctorTest, WrongAnswersAreWrongAndSlowOnesAdvice) {
  facts_.probe.round_trip = absl::Milliseconds(21);
  EXPECT_EQ(Find("answer").verdict, Verdict::kAdvice);
  facts_.probe.is_right = false;
  EXPECT_EQ(Find("answer").verdict, Verdict::kWrong);
  facts_.probe.status = absl::ResourceExhaustedError("full");
  EXPECT_THAT(Find("answer").found, HasSubstr("full"));
  EXPECT_TRUE(IsWrong());
}

TEST_F(DoctorTest, OtherVersionIsAdvice) {
  facts_.client_version = "1.3.0";
  EXPECT_EQ(Find("version").advice, "attnctl is 1.3.0; use the same");
}

TEST_F(DoctorTest, SlowBuildsAndMachinesAreAdvice) {
  facts_.http->settings["max-isa"] = "avx2";
  EXPECT_THAT(Find("isa").advice, HasSubstr("--max-isa avx2"));
  facts_.http->huge_pages = "never";
  EXPECT_THAT(Find("huge pages").advice, HasSubstr("echo madvise"));
  facts_.http->huge_pages = "";
  EXPECT_EQ(Find("huge pages").found, "not known");
  facts_.http = ReadHttpFacts("attn_build_info{onednn=\"\"} 1\n", kStatusz);
  EXPECT_THAT(Find("isa").advice, HasSubstr("without oneDNN"));
  EXPECT_FALSE(IsWrong());
}

TEST_F(DoctorTest, FullSessionsAndLateTasksAreAdvice) {
  Export("attn_kv_bytes{x=\"more\"} 94371840\n");
  EXPECT_THAT(Find("sessions").advice, HasSubstr("KV_MEMORY"));
  Export("attn_tasks_total{outcome=\"shed\"} 10\n");
  EXPECT_EQ(Find("tasks").verdict, Verdict::kFine);
  Export("attn_tasks_total{outcome=\"shed\"} 11\n");
  EXPECT_EQ(Find("tasks").verdict, Verdict::kAdvice);
  EXPECT_FALSE(IsWrong());
}

TEST_F(DoctorTest, FailedTasksAreWrong) {
  Export("attn_tasks_total{outcome=\"failed\",x=\"1\"} 1\n");
  EXPECT_TRUE(IsWrong());
  EXPECT_THAT(Find("tasks").advice, HasSubstr("log says why"));
}

TEST_F(DoctorTest, RefusalsAreNamed) {
  Export("attn_refused_total{reason=\"INVALID_TENSOR\"} 3\n");
  EXPECT_EQ(Find("refused").found, "3 INVALID_TENSOR");
  EXPECT_EQ(Find("refused").verdict, Verdict::kAdvice);
}

TEST_F(DoctorTest, JsonHasTheSame) {
  EXPECT_THAT(RenderFindingsJson(Diagnose(facts_)),
              HasSubstr("[{\"verdict\": \"fine\", \"topic\": \"gRPC\", "
                        "\"found\": \"127.0.0.1:8001 serves\", "
                        "\"advice\": \"\"},\n"));
}

TEST(DoctorFactsTest, SettingsAreReadFromStatusz) {
  const auto facts = ReadHttpFacts(kMetrics, kStatusz);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->Setting("workers"), "4");
  EXPECT_EQ(facts->Setting("none"), "");
  EXPECT_EQ(facts->huge_pages, "madvise");
  EXPECT_EQ(facts->Build("isa"), "AVX3");
}

TEST(DoctorFactsTest, OtherTextsAreErrors) {
  EXPECT_FALSE(ReadHttpFacts("<html>", kStatusz).ok());
  EXPECT_FALSE(ReadHttpFacts(kMetrics, "<html>").ok());
}

}  // namespace
}  // namespace attn::attnctl
