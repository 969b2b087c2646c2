// Any lines as a config file, as flags and as an environment: they are refused
// with a message, or make a configuration that, printed and read again, is the
// same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/check.h"
#include "server/command_line.h"
#include "server/config_file.h"

namespace attn {
namespace {

HostFacts Host() {
  return {.version = "fuzz", .usable_memory_bytes = int64_t{8} << 30};
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return lines;
}

// What names a file would read it.
bool NamesAFile(const std::string& line) {
  return line.rfind("--config", 0) == 0 ||
         line.rfind("ATTNSERVE_CONFIG", 0) == 0;
}

std::string Printed(std::vector<std::string> args) {
  args.insert(args.begin(), "--print-config");  // "--" ends the flags.
  const auto invocation = ParseCommandLine(args, {}, Host());
  ATTN_CHECK(invocation.ok() && invocation->action == Action::kShowText);
  return invocation->text;
}

// As flags, what the entries of a config file say.
std::vector<std::string> FlagsOf(const std::vector<ConfigEntry>& entries) {
  std::vector<std::string> flags;
  for (const ConfigEntry& entry : entries) {
    flags.push_back("--" + entry.key + "=" + entry.value);
  }
  return flags;
}

void CheckFlags(const std::vector<std::string>& args) {
  const auto invocation = ParseCommandLine(args, {}, Host());
  ATTN_CHECK(invocation.ok() || !invocation.status().message().empty());
  if (!invocation.ok() || invocation->action != Action::kServe) return;
  const std::string text = Printed(args);
  const auto entries = ParseConfigText(text);
  ATTN_CHECK(entries.ok());
  ATTN_CHECK(Printed(FlagsOf(*entries)) == text);
}

}  // namespace
}  // namespace attn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> lines;
  for (std::string& line : attn::Lines(text)) {
    if (!attn::NamesAFile(line)) lines.push_back(std::move(line));
  }
  attn::CheckFlags(lines);
  const auto read = attn::ParseCommandLine({}, lines, attn::Host());
  ATTN_CHECK(read.ok() || !read.status().message().empty());
  if (const auto entries = attn::ParseConfigText(text); entries.ok()) {
    std::vector<std::string> flags = attn::FlagsOf(*entries);
    for (const std::string& flag : flags) {
      if (attn::NamesAFile(flag)) return 0;
    }
    attn::CheckFlags(flags);
  }
  return 0;
}
