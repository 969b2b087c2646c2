#include "core/layer/layer_store.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/temporary_folder.h"

namespace attn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LayerStoreTest : public testing::Test {
 protected:
  void WriteModel(const std::string& name, int64_t num_layers = 2) {
    test::WriteCheckpoint({.num_layers = num_layers}, folder_.At(name));
  }

  LayerStoreOptions Options() const { return {.folder = folder_.path()}; }

  static std::vector<std::string> NamesOf(
      const std::vector<AttentionLayerPtr>& layers) {
    std::vector<std::string> names;
    for (const auto& layer : layers) names.push_back(layer->name);
    return names;
  }

  template <typename Result>
  static void ExpectError(const Result& result, absl::StatusCode code,
                          Reason reason) {
    EXPECT_EQ(result.status().code(), code) << result.status();
    EXPECT_EQ(ReasonOf(result.status()), reason) << result.status();
  }

  const test::TemporaryFolder folder_;
};

TEST_F(LayerStoreTest, PublishesEveryLayerOfEveryModel) {
  WriteModel("b", 11);
  WriteModel("a", 1);
  std::filesystem::create_directories(folder_.At("no model at all"));
  std::ofstream(folder_.At("file")) << "x";
  const auto published = LayerStore(Options()).Published();
  ASSERT_TRUE(published.ok()) << published.status();
  EXPECT_THAT(*published,
              ElementsAre("a/0", "b/0", "b/1", "b/2", "b/3", "b/4", "b/5",
                          "b/6", "b/7", "b/8", "b/9", "b/10"));
}

TEST_F(LayerStoreTest, FolderMayBeTheModel) {
  WriteModel("tiny");
  LayerStore store({.folder = folder_.At("tiny/")});
  EXPECT_THAT(*store.Published(), ElementsAre("tiny/0", "tiny/1"));
  EXPECT_TRUE(store.Load("tiny/1").ok());
  ExpectError(store.Load("other/1"), absl::StatusCode::kNotFound,
              Reason::kLayerNotFound);
}

TEST_F(LayerStoreTest, WithoutAFolderThereIsNothing) {
  LayerStore store({});
  EXPECT_THAT(*store.Published(), IsEmpty());
  ExpectError(store.Load("m/0"), absl::StatusCode::kNotFound,
              Reason::kLayerNotFound);
}

TEST_F(LayerStoreTest, LoadedLayersAreFoundUntilTheyAreUnloaded) {
  WriteModel("m");
  LayerStore store(Options());
  ExpectError(store.Find("m/1"), absl::StatusCode::kNotFound,
              Reason::kLayerNotLoaded);
  const auto loaded = store.Load("m/1");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded)->name, "m/1");
  EXPECT_EQ(*store.Find("m/1"), *loaded);
  EXPECT_TRUE(store.Unload("m/1").ok());
  ExpectError(store.Find("m/1"), absl::StatusCode::kNotFound,
              Reason::kLayerNotLoaded);
  EXPECT_EQ(ReasonOf(store.Unload("m/1")), Reason::kLayerNotLoaded);
  EXPECT_TRUE(store.Load("m/1").ok());
}

TEST_F(LayerStoreTest, SecondLoadIsToldSo) {
  WriteModel("m");
  LayerStore store(Options());
  ASSERT_TRUE(store.Load("m/0").ok());
  ExpectError(store.Load("m/0"), absl::StatusCode::kAlreadyExists,
              Reason::kLayerLoaded);
  EXPECT_EQ(NamesOf(store.List("", 10)).size(), 1);
}

TEST_F(LayerStoreTest, OfLoadsAtOnceOneWins) {
  WriteModel("m");
  LayerStore store(Options());
  std::atomic<int> won = 0, told = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto layer = store.Load("m/0");
      won += layer.ok() ? 1 : 0;
      told += ReasonOf(layer.status()) == Reason::kLayerLoaded ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(told, 7);
  EXPECT_EQ(store.bytes(), (*store.Find("m/0"))->weight_bytes());
}

TEST_F(LayerStoreTest, WhatIsNotThereIsNotFound) {
  WriteModel("m");
  std::filesystem::create_directories(folder_.At("empty"));
  LayerStore store(Options());
  for (const char* name : {"m/2", "other/0", "empty/0"}) {
    ExpectError(store.Load(name), absl::StatusCode::kNotFound,
                Reason::kLayerNotFound);
  }
  EXPECT_THAT(std::string(store.Load("m/2").status().message()),
              HasSubstr("model m has 2 layers; got index 2"));
  ExpectError(store.Load("../m/0"), absl::StatusCode::kInvalidArgument,
              Reason::kInvalidOption);
}

// As a folder that may not be searched, but root, who may search them all.
TEST_F(LayerStoreTest, ModelsThatCannotBeLookedIntoAreNamed) {
  std::filesystem::create_directory(folder_.At("m"));
  std::filesystem::create_symlink("config.json", folder_.At("m/config.json"));
  LayerStore store(Options());
  ExpectError(store.Load("m/0"), absl::StatusCode::kFailedPrecondition,
              Reason::kBadCheckpoint);
  EXPECT_THAT(std::string(store.Load("m/0").status().message()),
              HasSubstr("/m: Too many levels of symbolic links"));
  EXPECT_THAT(*store.Published(), testing::IsEmpty()) << "as lost+found";
}

// A link is a way out of the folder for who may write into it.
TEST_F(LayerStoreTest, LinksOutOfTheFolderAreRefused) {
  const test::TemporaryFolder elsewhere;
  test::WriteCheckpoint({}, elsewhere.At("real"));
  std::filesystem::create_directory_symlink(elsewhere.At("real"),
                                            folder_.At("link"));
  LayerStore store(Options());
  ExpectError(store.Load("link/0"), absl::StatusCode::kFailedPrecondition,
              Reason::kBadCheckpoint);
  ExpectError(store.Published(), absl::StatusCode::kFailedPrecondition,
              Reason::kBadCheckpoint);
}

TEST_F(LayerStoreTest, FoldersThatAreNoNamesStopTheStart) {
  WriteModel("a b");
  const auto published = LayerStore(Options()).Published();
  ExpectError(published, absl::StatusCode::kFailedPrecondition,
              Reason::kBadCheckpoint);
  EXPECT_THAT(std::string(published.status().message()),
              HasSubstr(folder_.At("a b")));
}

TEST_F(LayerStoreTest, BadCheckpointsAreNamedAndTouchNothing) {
  WriteModel("good");
  WriteModel("bad");
  std::ofstream(folder_.At("bad/model.safetensors")) << "no tensors";
  LayerStore store(Options());
  ASSERT_TRUE(store.Load("good/0").ok());
  const int64_t before = store.bytes();
  const auto loaded = store.Load("bad/0");
  ExpectError(loaded, absl::StatusCode::kFailedPrecondition,
              Reason::kBadCheckpoint);
  EXPECT_THAT(std::string(loaded.status().message()),
              HasSubstr(folder_.At("bad/model.safetensors")));
  ExpectError(store.Published(), absl::StatusCode::kFailedPrecondition,
              Reason::kBadCheckpoint);
  EXPECT_EQ(store.bytes(), before);
  EXPECT_THAT(NamesOf(store.List("", 10)), ElementsAre("good/0"));
}

TEST_F(LayerStoreTest, ErrorsOfTensorsSayInWhichModel) {
  WriteModel("m");
  std::ofstream(folder_.At("m/config.json"))
      << R"({"model_type":"llama","num_hidden_layers":2,"hidden_size":16,)"
         R"("num_attention_heads":4})";
  const auto loaded = LayerStore(Options()).Load("m/0");
  ExpectError(loaded, absl::StatusCode::kFailedPrecondition,
              Reason::kBadCheckpoint);
  EXPECT_THAT(std::string(loaded.status().message()),
              HasSubstr(folder_.At("m") + ": model.layers.0.self_attn.q_proj"));
}

TEST_F(LayerStoreTest, FormatIsTheStoresUnlessAsked) {
  WriteModel("m");
  LayerStoreOptions options = Options();
  options.format = WeightFormat::kBF16;
  LayerStore store(options);
  EXPECT_EQ((*store.Load("m/0"))->format, WeightFormat::kBF16);
  EXPECT_EQ((*store.Load("m/1", WeightFormat::kInt8))->format,
            WeightFormat::kInt8);
}

TEST_F(LayerStoreTest, BytesAreBounded) {
  WriteModel("m", 3);
  LayerStore roomy(Options());
  const int64_t bytes = (*roomy.Load("m/0"))->weight_bytes();
  ASSERT_EQ(roomy.bytes(), bytes);
  LayerStoreOptions options = Options();
  options.max_bytes = 2 * bytes;
  LayerStore store(options);
  ASSERT_TRUE(store.Load("m/0").ok());
  ASSERT_TRUE(store.Load("m/1").ok());
  ExpectError(store.Load("m/2"), absl::StatusCode::kResourceExhausted,
              Reason::kLayerMemory);
  ASSERT_TRUE(store.Unload("m/0").ok());
  EXPECT_TRUE(store.Load("m/2").ok());
  options.max_bytes = bytes - 1;
  ExpectError(LayerStore(options).Load("m/0"),
              absl::StatusCode::kResourceExhausted, Reason::kLayerMemory);
}

// A request that runs keeps its layer, and its memory counts to the end.
TEST_F(LayerStoreTest, UnloadedLayersCountWhileSomebodyHoldsThem) {
  WriteModel("m");
  LayerStoreOptions options = Options();
  AttentionLayerPtr held;
  {
    LayerStore store(options);
    held = *store.Load("m/0");
    const int64_t bytes = store.bytes();
    ASSERT_EQ(bytes, held->weight_bytes());
    ASSERT_TRUE(store.Unload("m/0").ok());
    EXPECT_EQ(store.bytes(), bytes);
    EXPECT_THAT(NamesOf(store.List("", 10)), IsEmpty());
    held = nullptr;
    EXPECT_EQ(store.bytes(), 0);
    held = *store.Load("m/0");
  }
  // It outlives the store, too.
  EXPECT_EQ(held->query->in_dim(), 32);
}

// Once loaded, a layer needs its files no more.
TEST_F(LayerStoreTest, FilesAreLetGo) {
  WriteModel("m");
  LayerStore store(Options());
  const auto layer = store.Load("m/0");
  ASSERT_TRUE(layer.ok()) << layer.status();
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    EXPECT_EQ(line.find(folder_.path()), std::string::npos) << line;
  }
}

TEST_F(LayerStoreTest, ListGoesByModelAndIndex) {
  WriteModel("a", 11);
  WriteModel("b", 1);
  LayerStore store(Options());
  for (const char* name : {"b/0", "a/10", "a/9", "a/2"}) {
    ASSERT_TRUE(store.Load(name).ok()) << name;
  }
  EXPECT_THAT(NamesOf(store.List("", 10)),
              ElementsAre("a/2", "a/9", "a/10", "b/0"));
  EXPECT_THAT(NamesOf(store.List("", 3)), ElementsAre("a/2", "a/9", "a/10"));
  EXPECT_THAT(NamesOf(store.List("a/9", 10)), ElementsAre("a/10", "b/0"));
  EXPECT_THAT(store.List("b/0", 10), IsEmpty());
}

}  // namespace
}  // namespace attn
