// attn_bench: prints one table of figures and may write them as flat JSON. It
// reports, and never fails on a figure.
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <string>

#include "tests/bench/echo_server.h"
#include "tests/bench/figure.h"

namespace attn::bench {
namespace {

constexpr char kUsage[] =
    "attn_bench [--quick] [--only PREFIX] [--json FILE] [--list]\n"
    "  --quick   3 repetitions instead of 9\n";

struct Arguments {
  int repetitions = 9;
  std::string only;
  std::string json;
  bool is_list = false;
};

// False for arguments that are not understood.
bool Parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--quick") {
      arguments.repetitions = 3;
    } else if (word == "--list") {
      arguments.is_list = true;
    } else if (word == "--only" && has_value) {
      arguments.only = argv[++i];
    } else if (word == "--json" && has_value) {
      arguments.json = argv[++i];
    } else {
      return false;
    }
  }
  return true;
}

Figures AllFigures() {
  Figures all;
  for (const Figures& some :
       {PrefillFigures(), DecodeFigures(), EngineFigures(), LayerFigures(),
        WireFigures(), ServeFigures()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

void Print(const Figure& figure, const Measured& measured) {
  const bool is_met = figure.goal == Goal::kAtLeast
                          ? measured.median >= figure.target
                          : measured.median <= figure.target;
  std::printf("%-40s %8.3f  (%.3f to %.3f)  %s %-6g %-8s %s\n",
              figure.name.c_str(), measured.median, measured.lowest,
              measured.highest,
              figure.goal == Goal::kAtLeast ? ">=" : "<=", figure.target,
              is_met ? "met" : "not met", figure.what.c_str());
  std::fflush(stdout);
}

bool WriteJson(const std::string& path,
               const std::map<std::string, double>& values) {
  std::ofstream file(path);
  file << "{";
  const char* separator = "\n";
  for (const auto& [name, value] : values) {
    file << separator << "  \"" << name << "\": " << value;
    separator = ",\n";
  }
  file << "\n}\n";
  return file.flush().good();
}

// No figure is to depend on those before it. malloc gives large blocks back
// until it has seen enough of them, and then their pages are faulted in anew:
// wire.* was 0.54 after other figures, and 0.04 alone.
void KeepFreedMemory() {
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_MMAP_MAX, 0);
}

int Run(const Arguments& arguments) {
  std::map<std::string, double> values;
  for (const Figure& figure : AllFigures()) {
    if (figure.name.rfind(arguments.only, 0) != 0) continue;
    if (arguments.is_list) {
      std::cout << figure.name << "\n";
      continue;
    }
    const Measured measured = Measure(figure, arguments.repetitions);
    Print(figure, measured);
    values[figure.name] = measured.median;
  }
  if (arguments.json.empty()) return 0;
  if (WriteJson(arguments.json, values)) return 0;
  std::cerr << "attn_bench: cannot write " << arguments.json << "\n";
  return 1;
}

}  // namespace
}  // namespace attn::bench

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--echo-server") == 0) {
    attn::bench::ServeEcho(std::atoll(argv[2]));
  }
  attn::bench::KeepFreedMemory();
  attn::bench::Arguments arguments;
  if (!attn::bench::Parse(argc, argv, arguments)) {
    std::cerr << attn::bench::kUsage;
    return 2;
  }
  return attn::bench::Run(arguments);
}
