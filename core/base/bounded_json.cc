#include "core/base/bounded_json.h"

#include <set>
#include <utility>
#include <vector>

namespace attn {
namespace {

using Json = nlohmann::json;

// Sees a text's events without making a value of them. Where the library calls
// back while it makes one, it looks through all members of an object each time
// that one of them ends: 20,000 took 3.8 s, twice as many four times as long.
class BoundsWatch final : public Json::json_sax_t {
 public:
  explicit BoundsWatch(const JsonBounds& bounds) : bounds_(bounds) {}

  std::optional<std::string> TakeTwice() { return std::move(twice_); }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }

  bool start_array(size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }
  bool start_object(size_t) override {
    if (bounds_.has_names_once) names_.emplace_back();
    return Enter();
  }
  bool end_object() override {
    if (bounds_.has_names_once) names_.pop_back();
    return Leave();
  }
  bool key(string_t& name) override {
    if (!bounds_.has_names_once || names_.back().insert(name).second) {
      return true;
    }
    twice_ = name;
    return false;
  }

  bool parse_error(size_t, const std::string&,
                   const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool Enter() { return ++depth_ <= bounds_.max_depth; }
  bool Leave() {
    --depth_;
    return true;
  }

  const JsonBounds bounds_;
  int depth_ = 0;
  std::vector<std::set<std::string>> names_;  // Of the objects that are open.
  std::optional<std::string> twice_;
};

}  // namespace

BoundedJson ParseBoundedJson(std::string_view text, const JsonBounds& bounds) {
  BoundsWatch watch(bounds);
  if (!Json::sax_parse(text.begin(), text.end(), &watch)) {
    return {.twice = watch.TakeTwice()};
  }
  return {.value = Json::parse(text.begin(), text.end(), /*cb=*/nullptr,
                               /*allow_exceptions=*/false)};
}

}  // namespace attn
