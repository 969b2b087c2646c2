#include "core/engine/projection_batch.h"

#include <gmock/gmock.h>

#include <map>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/core/engine/loop_layer.h"

namespace attn::test {
namespace {

// A task with rows of its own through some linears.
class RowsOfTask {
 public:
  RowsOfTask(int64_t num_rows, std::vector<const LoopLinear*> linears,
             float first_value)
      : in_(static_cast<size_t>(num_rows * linears[0]->in_dim())) {
    for (float& value : in_) value = first_value++;
    ProjectedRows rows{{in_.data(), linears[0]->in_dim()}, num_rows, {}};
    for (const LoopLinear* linear : linears) {
      auto& out = outs_.emplace_back(
          static_cast<size_t>(num_rows * linear->out_dim()), -1.0f);
      rows.projections.push_back({linear, {out.data(), linear->out_dim()}});
    }
    task_ = std::make_shared<ProjectionTask>(TaskFacts{}, ticket_,
                                             ProjectedParts{rows});
  }

  const std::shared_ptr<ProjectionTask>& task() const { return task_; }
  const std::vector<float>& in() const { return in_; }
  const std::vector<float>& out(size_t i) const { return outs_[i]; }

 private:
  AdmissionTicket ticket_;
  std::vector<float> in_;
  std::vector<std::vector<float>> outs_;
  std::shared_ptr<ProjectionTask> task_;
};

void RunAll(const ProjectionBatch& batch) {
  GatheredRows gathered;
  ScratchArena arena;
  for (const ProjectionUnit& unit : batch.units) {
    ASSERT_TRUE(RunProjection(unit, gathered, arena).ok());
  }
}

TEST(ProjectionBatchTest, TasksOfOneLayerShareProducts) {
  const auto linear = IdentityLinear(10);
  RowsOfTask a(1, {linear.get()}, 0);
  RowsOfTask b(3, {linear.get()}, 100);
  RowsOfTask c(2, {linear.get()}, 200);
  const ProjectionBatch batch =
      FindProjections({TaskPtr(a.task()), b.task(), c.task()});
  ASSERT_EQ(batch.tiles.size(), 1u);
  EXPECT_EQ(batch.tiles[0].num_rows, 6);
  EXPECT_EQ(batch.units.size(), 2u) << "blocks of 6 and 4 channels";
  RunAll(batch);
  EXPECT_EQ(linear->num_calls(), 2);
  for (const RowsOfTask* rows : {&a, &b, &c}) {
    EXPECT_EQ(rows->out(0), rows->in());
  }
}

TEST(ProjectionBatchTest, EachLinearOfASetGetsTheRows) {
  const auto first = IdentityLinear(10);
  const auto second = RandomLinear(10, 7, 1);
  RowsOfTask a(2, {first.get(), second.get()}, 0);
  RowsOfTask b(1, {first.get(), second.get()}, 50);
  const TaskPtr tasks[] = {a.task(), b.task()};
  RunAll(FindProjections(tasks));
  RowsOfTask alone(1, {first.get(), second.get()}, 50);
  const TaskPtr other[] = {alone.task()};
  RunAll(FindProjections(other));
  EXPECT_EQ(a.out(0), a.in());
  EXPECT_EQ(b.out(1), alone.out(1));
}

TEST(ProjectionBatchTest, OtherLinearsMakeOtherTiles) {
  const auto query = IdentityLinear(10);
  const auto key = IdentityLinear(10);
  RowsOfTask of_both(2, {query.get(), key.get()}, 0);
  RowsOfTask of_query(2, {query.get()}, 0);
  RowsOfTask of_key(2, {key.get()}, 0);
  const TaskPtr tasks[] = {of_both.task(), of_query.task(), of_key.task()};
  EXPECT_EQ(FindProjections(tasks).tiles.size(), 3u);
}

TEST(ProjectionBatchTest, ManyRowsAreCutIntoTiles) {
  const auto linear = IdentityLinear(10);
  RowsOfTask a(100, {linear.get()}, 0);
  RowsOfTask b(200, {linear.get()}, 5000);
  const TaskPtr tasks[] = {a.task(), b.task()};
  const ProjectionBatch batch = FindProjections(tasks);
  ASSERT_EQ(batch.tiles.size(), 3u);
  EXPECT_EQ(batch.tiles[0].num_rows, 128);
  EXPECT_EQ(batch.tiles[1].num_rows, 128);
  EXPECT_EQ(batch.tiles[2].num_rows, 44);
  RunAll(batch);
  EXPECT_EQ(a.out(0), a.in());
  EXPECT_EQ(b.out(0), b.in());
}

TEST(ProjectionBatchTest, TheGatheredRowsOfAnotherTileAreForgotten) {
  const auto linear = IdentityLinear(10);
  GatheredRows gathered;
  ScratchArena arena;
  for (const float first_value : {0.0f, 1000.0f}) {
    RowsOfTask a(1, {linear.get()}, first_value);
    RowsOfTask b(1, {linear.get()}, first_value + 100);
    const TaskPtr tasks[] = {a.task(), b.task()};
    const ProjectionBatch batch = FindProjections(tasks);
    for (const ProjectionUnit& unit : batch.units) {
      ASSERT_TRUE(RunProjection(unit, gathered, arena).ok());
    }
    EXPECT_EQ(a.out(0), a.in());
    gathered.Forget();
  }
}

}  // namespace
}  // namespace attn::test
