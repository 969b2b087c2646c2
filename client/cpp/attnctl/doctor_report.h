// What `attnctl doctor` says: what the server is, what is wrong with it and
// what may be. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "client/cpp/attnctl/doctor_facts.h"

namespace attn::attnctl {

enum class Verdict {
  kFine,
  kAdvice,  // It works; it could work better.
  kWrong,   // It does not work as it should.
};

struct Finding {
  Verdict verdict = Verdict::kFine;
  std::string topic;   // "huge pages"
  std::string found;   // What is.
  std::string advice;  // What to do; empty where it is fine.
};

std::vector<Finding> Diagnose(const DoctorFacts& facts);

// Whether any of them is kWrong.
bool IsAnythingWrong(const std::vector<Finding>& findings);

// A line for each, and one more for its advice. Ends in a newline.
std::string RenderFindings(const std::vector<Finding>& findings);

// A list of {"verdict", "topic", "found", "advice"}. Ends in a newline.
std::string RenderFindingsJson(const std::vector<Finding>& findings);

}  // namespace attn::attnctl
