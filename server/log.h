// Log lines of the server, as text for people or as JSON lines for collectors:
//
//   2026-01-31T12:00:00.123456Z info    listening grpc=127.0.0.1:8001
//   {"time":"2026-01-31T12:00:00.123456Z","level":"info",
//    "message":"listening","grpc":"127.0.0.1:8001"}            (on one line)
//
// A line has a constant message and fields beside it, so that lines can be
// counted and searched. Text from outside cannot break out of its line or
// field. Tensor data never goes into a log.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spdlog {
class logger;
}

namespace attn {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };
enum class LogFormat { kText, kJson };

// A key and its value, which is written as text or as a number. The key is one
// of ours: [a-z_]+.
struct LogField {
  LogField(std::string_view field_key, std::string_view field_value)
      : key(field_key), value(field_value) {}
  LogField(std::string_view field_key, const char* field_value)
      : LogField(field_key, std::string_view(field_value)) {}
  template <typename Number>
  requires std::integral<Number> || std::floating_point<Number> LogField(
      std::string_view field_key, Number number)
      : LogField(field_key, std::string_view(std::to_string(number))) {
    is_number = true;
  }

  std::string key;
  std::string value;
  bool is_number = false;
};

// Thread-safe: each call writes one whole line.
class Log {
 public:
  // Writes to standard error, or to `out` if it is given (not owned; must
  // outlive the log). A line is flushed at once.
  Log(LogLevel level, LogFormat format, std::ostream* out = nullptr);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void Write(LogLevel level, std::string_view message,
             std::span<const LogField> fields) const;

  void Debug(std::string_view message,
             std::initializer_list<LogField> fields = {}) const;
  void Info(std::string_view message,
            std::initializer_list<LogField> fields = {}) const;
  void Warning(std::string_view message,
               std::initializer_list<LogField> fields = {}) const;
  void Error(std::string_view message,
             std::initializer_list<LogField> fields = {}) const;

 private:
  const LogFormat format_;
  const std::unique_ptr<spdlog::logger> logger_;
};

}  // namespace attn
