// Tasks without tensors, for tests of batching alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "core/batching/task.h"

namespace attn::test {

// A task with a name by which tests tell it.
class SimpleTask final : public Task {
 public:
  SimpleTask(std::string name, const TaskFacts& facts)
      : Task(facts), name_(std::move(name)) {}
  const std::string& name() const { return name_; }

 private:
  const std::string name_;
};

inline TaskPtr MakeTask(std::string name, const TaskFacts& facts) {
  return std::make_shared<SimpleTask>(std::move(name), facts);
}

inline std::vector<std::string> NamesOf(absl::Span<const TaskPtr> tasks) {
  std::vector<std::string> names;
  for (const TaskPtr& task : tasks) {
    names.push_back(static_cast<const SimpleTask&>(*task).name());
  }
  return names;
}

}  // namespace attn::test
