#include "client/cpp/attnctl/flag_types.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "client/cpp/attnctl/byte_size.h"

namespace attn::attnctl {
namespace {

int64_t ParseLength(const std::string& flag, const std::string& text) {
  int64_t length = 0;
  if (!absl::SimpleAtoi(text, &length) || length < 0) {
    throw CLI::ValidationError(
        flag, "must be a length or a range a..b; got \"" + text + "\"");
  }
  return length;
}

}  // namespace

CLI::Option* AddDurationFlag(CLI::App& app, const std::string& flag,
                             absl::Duration& target, const std::string& help) {
  return app
      .add_option_function<std::string>(
          flag,
          [flag, &target](const std::string& text) {
            absl::Duration parsed;
            if (!absl::ParseDuration(text, &parsed) ||
                parsed < absl::ZeroDuration()) {
              throw CLI::ValidationError(
                  flag, "must be a duration such as 250ms, 10s, 2m; got \"" +
                            text + "\"");
            }
            target = parsed;
          },
          help)
      ->type_name("DURATION");
}

CLI::Option* AddByteSizeFlag(CLI::App& app, const std::string& flag,
                             int64_t& target, const std::string& help) {
  return app
      .add_option_function<std::string>(
          flag,
          [flag, &target](const std::string& text) {
            const absl::StatusOr<int64_t> size = ParseByteSize(text);
            if (!size.ok()) {
              throw CLI::ValidationError(flag,
                                         std::string(size.status().message()));
            }
            target = *size;
          },
          help)
      ->type_name("SIZE");
}

CLI::Option* AddLengthRangeFlag(CLI::App& app, const std::string& flag,
                                LengthRange& target, const std::string& help) {
  return app
      .add_option_function<std::string>(
          flag,
          [flag, &target](const std::string& text) {
            const std::vector<std::string> ends =
                absl::StrSplit(text, absl::MaxSplits("..", 1));
            LengthRange range;
            range.first = ParseLength(flag, ends.front());
            range.last = ParseLength(flag, ends.back());
            if (range.last < range.first) {
              throw CLI::ValidationError(
                  flag, "range must not be reversed; got \"" + text + "\"");
            }
            target = range;
          },
          help)
      ->type_name("N|A..B");
}

}  // namespace attn::attnctl
