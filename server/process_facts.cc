#include "server/process_facts.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace attn {
namespace {

// Places in self/stat after the command's closing parenthesis (proc(5) counts
// from the process id, so these are its numbers minus 3).
constexpr size_t kUserTicks = 11;
constexpr size_t kSystemTicks = 12;
constexpr size_t kThreads = 17;
constexpr size_t kStartTicks = 19;
constexpr size_t kVirtualBytes = 20;
constexpr size_t kResidentPages = 21;

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int64_t ToInteger(absl::string_view text) {
  int64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

int64_t NumberAt(const std::vector<std::string>& fields, size_t place) {
  return place < fields.size() ? ToInteger(fields[place]) : 0;
}

// The words of the first line that starts with `prefix`, after it.
std::vector<std::string> WordsAfter(const std::string& text,
                                    std::string_view prefix) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, prefix.size(), prefix) != 0) continue;
    return absl::StrSplit(line.substr(prefix.size()), ' ', absl::SkipEmpty());
  }
  return {};
}

double TicksToSeconds(int64_t ticks) {
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// The command may hold spaces and parentheses: fields start after the last one.
std::vector<std::string> StatFields(const std::string& stat) {
  const size_t end = stat.rfind(')');
  if (end == std::string::npos) return {};
  return absl::StrSplit(stat.substr(end + 1), absl::ByAnyChar(" \n"),
                        absl::SkipEmpty());
}

int64_t CountEntries(const std::string& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  int64_t count = 0;
  while (!error && entries != std::filesystem::directory_iterator()) {
    ++count;
    entries.increment(error);
  }
  return count;
}

}  // namespace

ProcessFacts ReadProcessFacts(const std::string& proc_root) {
  const auto stat = StatFields(ReadText(proc_root + "/self/stat"));
  const auto boot = WordsAfter(ReadText(proc_root + "/stat"), "btime ");
  const auto limits =
      WordsAfter(ReadText(proc_root + "/self/limits"), "Max open files");
  ProcessFacts facts;
  facts.cpu_seconds =
      TicksToSeconds(NumberAt(stat, kUserTicks) + NumberAt(stat, kSystemTicks));
  facts.start_time_seconds = static_cast<double>(NumberAt(boot, 0)) +
                             TicksToSeconds(NumberAt(stat, kStartTicks));
  facts.resident_bytes = NumberAt(stat, kResidentPages) * sysconf(_SC_PAGESIZE);
  facts.virtual_bytes = NumberAt(stat, kVirtualBytes);
  facts.num_threads = NumberAt(stat, kThreads);
  facts.num_open_fds = CountEntries(proc_root + "/self/fd");
  facts.max_fds = NumberAt(limits, 0);
  return facts;
}

std::string ReadHugePages(const std::string& sys_root) {
  // "always [madvise] never"
  const std::string text =
      ReadText(sys_root + "/kernel/mm/transparent_hugepage/enabled");
  const size_t begin = text.find('[');
  const size_t end = text.find(']', begin);
  if (begin == std::string::npos || end == std::string::npos) return "";
  return text.substr(begin + 1, end - begin - 1);
}

}  // namespace attn
