#include "client/cpp/attnctl/session_view.h"

#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

client::Session Full() {
  return {.session_id = "chat-7",
          .spec = {.num_layers = 2,
                   .num_kv_heads = 3,
                   .head_dim = 64,
                   .value_head_dim = 32,
                   .kv_dtype = client::KvDtype::kBf16,
                   .max_length = 4096,
                   .window = 128,
                   .idle_ttl = absl::Seconds(90)},
          .layer_lengths = {9, 7},
          .kv_bytes = 8192,
          .shared_kv_bytes = 1024,
          .created_at = absl::FromUnixSeconds(1'700'000'000),
          .last_used_at = absl::FromUnixSeconds(1'700'000'060)};
}

client::Session Plain() {
  return {.session_id = "s",
          .spec = {.head_dim = 8},
          .layer_lengths = {5},
          .kv_bytes = 64};
}

TEST(SessionViewTest, OneSessionIsAFactALine) {
  EXPECT_EQ(RenderSession(Full()),
            "session        chat-7\n"
            "layers         2\n"
            "KV heads       3, head dim 64, of values 32, kept as bf16\n"
            "max length     4096 tokens, window 128, idle ttl 1m30s\n"
            "tokens         9, 7\n"
            "memory         8192 KV bytes, 1024 of them shared\n"
            "created        2023-11-14T22:13:20Z\n"
            "last used      2023-11-14T22:14:20Z\n");
}

TEST(SessionViewTest, WhatIsOffOrUnknownIsADash) {
  EXPECT_EQ(RenderSession(Plain()),
            "session        s\n"
            "layers         1\n"
            "KV heads       1, head dim 8, of values 8, kept as unspecified\n"
            "max length     -\n"
            "tokens         5\n"
            "memory         64 KV bytes, 0 of them shared\n"
            "created        -\n"
            "last used      -\n");
}

TEST(SessionViewTest, TableGivesTheRangeOfLengths) {
  EXPECT_EQ(
      RenderSessions({Full(), Plain()}),
      "session  layers        tokens       KV bytes         shared dtype last "
      "used\n"
      "chat-7        2          7..9           8192           1024 bf16  "
      "2023-11-14T22:14:20Z\n"
      "s             1             5             64              0 unspecified "
      "-\n");
  EXPECT_EQ(RenderSessions({}), "no sessions\n");
}

TEST(SessionViewTest, JsonNamesEveryField) {
  EXPECT_EQ(RenderSessionJson(Full()),
            "{\"session_id\": \"chat-7\", \"spec\": {\"num_layers\": 2, "
            "\"num_kv_heads\": 3, \"head_dim\": 64, \"value_head_dim\": 32, "
            "\"kv_dtype\": \"bf16\", \"max_length\": 4096, \"window\": 128, "
            "\"idle_ttl_seconds\": 90}, \"layer_lengths\": [9, 7], "
            "\"kv_bytes\": 8192, \"shared_kv_bytes\": 1024, \"created_at\": "
            "\"2023-11-14T22:13:20Z\", \"last_used_at\": "
            "\"2023-11-14T22:14:20Z\"}\n");
}

TEST(SessionViewTest, JsonListHasATokenAndNulls) {
  EXPECT_EQ(RenderSessionsJson({{Plain()}, "t"}),
            "{\"sessions\": [\n"
            "{\"session_id\": \"s\", \"spec\": {\"num_layers\": 1, "
            "\"num_kv_heads\": 1, \"head_dim\": 8, \"value_head_dim\": 8, "
            "\"kv_dtype\": \"unspecified\", \"max_length\": 0, \"window\": 0, "
            "\"idle_ttl_seconds\": null}, \"layer_lengths\": [5], "
            "\"kv_bytes\": 64, \"shared_kv_bytes\": 0, \"created_at\": null, "
            "\"last_used_at\": null}\n"
            "], \"next_page_token\": \"t\"}\n");
}

}  // namespace
}  // namespace attn::attnctl
