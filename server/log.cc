#include "server/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "server/json_text.h"

namespace attn {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

// The payload (%v) is already escaped: for JSON it is the rest of the object.
std::unique_ptr<spdlog::formatter> MakeFormatter(LogFormat format) {
  const char* pattern =
      format == LogFormat::kJson
          ? R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v})"
          : "%Y-%m-%dT%H:%M:%S.%fZ %-7l %v";
  return std::make_unique<spdlog::pattern_formatter>(
      pattern, spdlog::pattern_time_type::utc, "\n");
}

std::shared_ptr<spdlog::sinks::sink> MakeSink(std::ostream* out) {
  if (out == nullptr) return std::make_shared<spdlog::sinks::stderr_sink_mt>();
  return std::make_shared<spdlog::sinks::ostream_sink_mt>(*out, true);
}

// Words stand as they are; anything else is quoted and escaped.
std::string TextValue(const std::string& value) {
  const auto is_plain = [](char c) {
    return (c > ' ' && c < 0x7F && c != '"' && c != '\\' && c != '=');
  };
  const bool plain = !value.empty() && std::ranges::all_of(value, is_plain);
  return plain ? value : JsonString(value);
}

// The message without its quotes, so that it reads as a sentence.
std::string TextMessage(std::string_view message) {
  const std::string quoted = JsonString(message);
  return quoted.substr(1, quoted.size() - 2);
}

// JSON has no NaN and no infinities.
bool IsJsonNumber(const LogField& field) {
  double number = 0;
  return field.is_number && absl::SimpleAtod(field.value, &number) &&
         std::isfinite(number);
}

std::string TextPayload(std::string_view message,
                        std::span<const LogField> fields) {
  std::string payload = TextMessage(message);
  for (const LogField& field : fields) {
    payload += ' ' + field.key + '=' + TextValue(field.value);
  }
  return payload;
}

std::string JsonPayload(std::string_view message,
                        std::span<const LogField> fields) {
  std::string payload = "\"message\":" + JsonString(message);
  for (const LogField& field : fields) {
    payload += ',' + JsonString(field.key) + ':';
    payload += IsJsonNumber(field) ? field.value : JsonString(field.value);
  }
  return payload;
}

}  // namespace

Log::Log(LogLevel level, LogFormat format, std::ostream* out)
    : format_(format),
      logger_(std::make_unique<spdlog::logger>("attnserve", MakeSink(out))) {
  logger_->set_formatter(MakeFormatter(format));
  logger_->set_level(ToSpdlog(level));
  logger_->flush_on(spdlog::level::trace);
}

Log::~Log() = default;

void Log::Write(LogLevel level, std::string_view message,
                std::span<const LogField> fields) const {
  const spdlog::level::level_enum spdlog_level = ToSpdlog(level);
  if (!logger_->should_log(spdlog_level)) return;
  const std::string payload = format_ == LogFormat::kJson
                                  ? JsonPayload(message, fields)
                                  : TextPayload(message, fields);
  logger_->log(spdlog_level, spdlog::string_view_t(payload));
}

void Log::Debug(std::string_view message,
                std::initializer_list<LogField> fields) const {
  Write(LogLevel::kDebug, message, fields);
}

void Log::Info(std::string_view message,
               std::initializer_list<LogField> fields) const {
  Write(LogLevel::kInfo, message, fields);
}

void Log::Warning(std::string_view message,
                  std::initializer_list<LogField> fields) const {
  Write(LogLevel::kWarning, message, fields);
}

void Log::Error(std::string_view message,
                std::initializer_list<LogField> fields) const {
  Write(LogLevel::kError, message, fields);
}

}  // namespace attn
