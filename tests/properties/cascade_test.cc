// Forks of one prefix that run together read it once, and each answers the
// bytes that it answers alone.
#include "core/engine/cascade.h"

#include <algorithm>
#include <vector>

#include "core/attention/split_kv.h"
#include "core/engine/active_batch.h"
#include "gtest/gtest.h"
#include "tests/support/session_runner.h"

namespace attn::test {
namespace {

constexpr int64_t kPrefix = 2 * kSplitKeys + 10;

CaseOptions Sized(int64_t length, int64_t num_q_heads = 4) {
  CaseOptions options;
  options.num_q_heads = num_q_heads;
  options.num_kv_heads = 2;
  options.q_len = options.kv_len = length;
  options.head_dim = 20;
  options.value_head_dim = 28;
  options.params.causal = CausalMode::kTopLeft;
  options.output.return_lse = true;
  return options;
}

Cascade FindIn(const std::vector<AttentionTaskPtr>& tasks) {
  return FindCascade(std::vector<TaskPtr>(tasks.begin(), tasks.end()));
}

// A session of kPrefix tokens and forks of it.
class CascadeTest : public testing::Test {
 protected:
  explicit CascadeTest(KvDtype dtype = KvDtype::kF32) {
    const AttentionCase prefix = MakeCase(Sized(kPrefix));
    root_ = runner_.Create(prefix, dtype);
    EXPECT_TRUE(runner_.Append(*root_, prefix, {}).ok());
  }

  SessionPtr Fork() {
    auto fork =
        runner_.store().Fork(runner_.tenant(), root_->id(), "", std::nullopt);
    EXPECT_TRUE(fork.ok()) << fork.status();
    return *fork;
  }

  // One more token, of a seed; the same call answers the same again.
  AttentionTaskPtr Step(const SessionPtr& session, const AttentionCase& token,
                        Priority priority = Priority::kNormal) {
    auto task = runner_.Prepare(
        *session, token, {.expected_length = kPrefix, .priority = priority});
    EXPECT_TRUE(task.ok()) << task.status();
    return *task;
  }

  AttentionOutputs Alone(const SessionPtr& session,
                         const AttentionCase& token) {
    auto outputs =
        runner_.Attend(*session, token, {.expected_length = kPrefix});
    EXPECT_TRUE(outputs.ok()) << outputs.status();
    return *outputs;
  }

  // Runs the tasks as a batch would: groups, then what is left of each.
  static void RunTogether(const std::vector<AttentionTaskPtr>& tasks,
                          const Cascade& cascade) {
    ScratchArena arena;
    const auto gemm = MakeTileGemm(Isa::kAuto);
    for (const auto& group : cascade.groups) {
      EXPECT_TRUE(RunGroup(group, arena).ok());
    }
    for (size_t i = 0; i < tasks.size(); ++i) {
      for (int64_t unit = cascade.NumGroupedUnits(i);
           unit < tasks[i]->num_units(); ++unit) {
        EXPECT_TRUE(tasks[i]->RunUnit(unit, *gemm, arena).ok());
      }
    }
  }

  // Tasks of every kind, run together and each alone.
  void ExpectEachAsAlone() {
    std::vector<SessionPtr> forks;
    std::vector<AttentionCase> tokens;
    std::vector<AttentionTaskPtr> tasks;
    for (uint64_t i = 0; i < 7; ++i) {
      CaseOptions options = Sized(1 + static_cast<int64_t>(i % 3), 4);
      options.seed = 100 + i;
      if (i == 2) options.params.softcap = 5;
      if (i == 3) options.params.sinks = {1, 2, 3, 4};
      if (i == 4) options.dtype = DataType::kBF16;
      if (i == 5) options.params.alibi_slopes = {-1, -0.5f, -0.1f, -0.01f};
      tokens.push_back(MakeCase(options));
      forks.push_back(Fork());
      tasks.push_back(Step(forks.back(), tokens.back()));
    }
    const Cascade cascade = FindIn(tasks);
    EXPECT_FALSE(cascade.groups.empty());
    RunTogether(tasks, cascade);
    for (size_t i = 0; i < tasks.size(); ++i) {
      EXPECT_TRUE(CopyOutputs(*tasks[i]) == Alone(forks[i], tokens[i])) << i;
    }
  }

  SessionRunner runner_;
  SessionPtr root_;
};

TEST_F(CascadeTest, ForksShareTheWholeSplitsOfTheirPrefix) {
  std::vector<SessionPtr> forks;
  std::vector<AttentionTaskPtr> tasks;
  for (uint64_t i = 0; i < 5; ++i) {
    CaseOptions options = Sized(1, i == 4 ? 16 : 4);
    options.seed = i;
    forks.push_back(Fork());
    tasks.push_back(Step(forks.back(), MakeCase(options)));
  }
  const Cascade cascade = FindIn(tasks);
  EXPECT_EQ(cascade.groups.size(), 4u) << "2 splits x 2 KV heads";
  for (const auto& group : cascade.groups) EXPECT_EQ(group.size(), 5u);
  EXPECT_EQ(cascade.num_grouped_units, (std::vector<int64_t>(5, 4)));
}

TEST_F(CascadeTest, AnswersAreThoseOfEachAlone) { ExpectEachAsAlone(); }

class PackedCascadeTest : public CascadeTest {
 protected:
  PackedCascadeTest() : CascadeTest(KvDtype::kInt8) {}
};

TEST_F(PackedCascadeTest, AnswersAreThoseOfEachAlone) { ExpectEachAsAlone(); }

TEST_F(CascadeTest, OnlyWhatIsTheSameAndWhollySeenIsShared) {
  const AttentionCase token = MakeCase(Sized(1));
  CaseOptions windowed = Sized(1);
  windowed.params.left_window = kPrefix - 5;
  const AttentionCase other_prefix = MakeCase(Sized(kPrefix));
  const SessionPtr stranger = runner_.Create(other_prefix);
  ASSERT_TRUE(runner_.Append(*stranger, other_prefix, {}).ok());
  const SessionPtr a = Fork(), b = Fork(), c = Fork();
  const std::vector<AttentionTaskPtr> tasks = {
      Step(a, token), Step(stranger, token), Step(b, MakeCase(windowed)),
      Step(c, token)};
  const Cascade cascade = FindIn(tasks);
  EXPECT_EQ(cascade.num_grouped_units, (std::vector<int64_t>{4, 0, 0, 4}));
}

TEST_F(CascadeTest, GroupIsAsUrgentAsItsMostUrgentTask) {
  const AttentionCase token = MakeCase(Sized(1));
  const SessionPtr a = Fork(), b = Fork(), c = Fork();
  const AttentionTaskPtr urgent = Step(c, token, Priority::kHigh);
  ActiveBatch batch;
  batch.Fill({.tasks = {Step(a, token), Step(b, token), urgent}});
  bool is_urgent_done = false;
  int num_groups = 0;
  for (const WorkItem& item : batch.items()) {
    const bool is_urgent = item.task == urgent.get();
    EXPECT_FALSE(is_urgent && is_urgent_done);
    is_urgent_done = !is_urgent;
    if (item.group.empty()) continue;
    ++num_groups;
    EXPECT_TRUE(is_urgent);
  }
  EXPECT_EQ(num_groups, 4) << "2 splits x 2 KV heads";
}

TEST_F(CascadeTest, ManyRowsMakeSeveralGroups) {
  std::vector<SessionPtr> forks;
  std::vector<AttentionTaskPtr> tasks;
  for (uint64_t i = 0; i < 9; ++i) {  // 16 folded rows each.
    forks.push_back(Fork());
    tasks.push_back(Step(forks.back(), MakeCase(Sized(1, 32))));
  }
  const Cascade cascade = FindIn(tasks);
  EXPECT_EQ(cascade.groups.size(), 4u * 3u);
  size_t largest = 0;
  for (const auto& group : cascade.groups) {
    largest = std::max(largest, group.size());
  }
  EXPECT_EQ(largest, 4u);
}

// Through the engine, where the batches form by themselves.
TEST_F(CascadeTest, ForksSubmittedTogetherAnswerAsAlone) {
  std::vector<SessionPtr> forks;
  std::vector<AttentionCase> tokens;
  std::vector<AttentionOutputs> together;
  for (uint64_t i = 0; i < 8; ++i) {
    CaseOptions options = Sized(1);
    options.seed = 200 + i;
    tokens.push_back(MakeCase(options));
    forks.push_back(Fork());
  }
  for (const auto& answer :
       runner_.AttendAll(forks, tokens, {.expected_length = kPrefix})) {
    ASSERT_TRUE(answer.ok()) << answer.status();
    together.push_back(*answer);
  }
  for (size_t i = 0; i < forks.size(); ++i) {
    EXPECT_TRUE(together[i] == Alone(forks[i], tokens[i])) << i;
  }
}

}  // namespace
}  // namespace attn::test
