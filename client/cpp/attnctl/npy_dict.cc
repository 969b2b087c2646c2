#include "client/cpp/attnctl/npy_dict.h"

#include <cctype>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace attn::attnctl {
namespace {

constexpr size_t kMaxAxes = 8;  // As the wire allows.

// Reads the text from left to right. Each step gives false on what it does not
// expect; `expected_` remembers the first one. Confined to ParseNpyDict.
class DictReader {
 public:
  explicit DictReader(std::string_view text) : text_(text) {}

  bool Read(NpyDict& dict) {
    if (!Expect('{')) {
      return false;
    }
    bool seen[3] = {};
    while (!Accept('}')) {
      std::string key;
      if (!ReadString(key) || !Expect(':') || !ReadEntry(key, dict, seen)) {
        return false;
      }
      if (!Accept(',')) {
        if (!Expect('}')) {
          return false;
        }
        break;
      }
    }
    if (!seen[0] || !seen[1] || !seen[2]) {
      return Fail("the keys 'descr', 'fortran_order' and 'shape'");
    }
    return SkipSpace() == text_.size() || Fail("the end of the header");
  }

  absl::Status error() const {
    return absl::InvalidArgumentError(
        absl::StrCat("header: expected ", expected_, " at byte ", at_));
  }

 private:
  bool ReadEntry(const std::string& key, NpyDict& dict, bool (&seen)[3]) {
    const int which = key == "descr"           ? 0
                      : key == "fortran_order" ? 1
                      : key == "shape"         ? 2
                                               : -1;
    if (which < 0 || std::exchange(seen[which], true)) {
      return Fail("'descr', 'fortran_order' or 'shape', each once");
    }
    if (which == 0) {
      return ReadString(dict.descr);
    }
    return which == 1 ? ReadBool(dict.fortran_order) : ReadShape(dict.shape);
  }

  bool ReadString(std::string& value) {
    if (SkipSpace() == text_.size() ||
        (text_[at_] != '\'' && text_[at_] != '"')) {
      return Fail("a string");
    }
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) {
      return Fail("the end of the string");
    }
    value = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }

  bool ReadBool(bool& value) {
    SkipSpace();
    for (const auto& [word, truth] :
         {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        value = truth;
        return true;
      }
    }
    return Fail("True or False");
  }

  bool ReadShape(client::Shape& shape) {
    if (!Expect('(')) {
      return false;
    }
    while (!Accept(')')) {
      int64_t length = 0;
      if (!ReadLength(length)) {
        return false;
      }
      shape.push_back(length);
      if (shape.size() > kMaxAxes) {
        return Fail("at most 8 axes");
      }
      if (!Accept(',')) {
        // "(3)" is a number in Python, not a tuple.
        return shape.size() > 1 ? Expect(')') : Fail("','");
      }
    }
    return true;
  }

  bool ReadLength(int64_t& length) {
    const size_t begin = SkipSpace();
    while (at_ < text_.size() &&
           std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) {
      const int64_t digit = text_[at_] - '0';
      if (length > (std::numeric_limits<int64_t>::max() - digit) / 10) {
        return Fail("a length below 2^63");
      }
      length = length * 10 + digit;
      ++at_;
    }
    return at_ > begin || Fail("a length");
  }

  size_t SkipSpace() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) {
      ++at_;
    }
    return at_;
  }

  bool Accept(char symbol) {
    if (SkipSpace() < text_.size() && text_[at_] == symbol) {
      ++at_;
      return true;
    }
    return false;
  }

  bool Expect(char symbol) {
    return Accept(symbol) || Fail(std::string("'") + symbol + "'");
  }

  bool Fail(std::string expected) {
    if (expected_.empty()) {
      expected_ = std::move(expected);
    }
    return false;
  }

  const std::string_view text_;
  size_t at_ = 0;
  std::string expected_;
};

}  // namespace

absl::StatusOr<NpyDict> ParseNpyDict(std::string_view text) {
  DictReader reader(text);
  NpyDict dict;
  if (!reader.Read(dict)) {
    return reader.error();
  }
  return dict;
}

}  // namespace attn::attnctl
