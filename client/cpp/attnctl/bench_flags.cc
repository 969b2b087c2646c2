#include "client/cpp/attnctl/bench_flags.h"

#include "absl/strings/str_cat.h"
#include "client/cpp/attnctl/enum_flags.h"
#include "client/cpp/attnctl/output_flag.h"

namespace attn::attnctl {
namespace {

void AddShapeFlags(CLI::App& app, ProblemShape& shape) {
  const CLI::Range positive(int64_t{1}, int64_t{1} << 31);
  app.add_option("--batch-size", shape.batch_size, "B (default 1)")
      ->check(positive);
  app.add_option("--q-heads,--heads", shape.num_q_heads,
                 "Query heads (default 8)")
      ->check(positive);
  app.add_option("--kv-heads", shape.num_kv_heads,
                 "KV heads (default: as --q-heads)");
  AddLengthRangeFlag(app, "--q-len", shape.q_len,
                     "Query rows (default 1); a range is log-uniform");
  AddLengthRangeFlag(app, "--kv-len", shape.kv_len,
                     "Keys (default 1024); a range is log-uniform");
  app.add_option("--head-dim", shape.head_dim, "Head dim (default 64)")
      ->check(positive);
  app.add_option("--value-head-dim", shape.value_head_dim,
                 "Of the values (default: as --head-dim)");
  AddEnumFlag(app, "--dtype", shape.dtype, FloatTypes(),
              "Element type (default f32)");
  AddCausalFlag(app, shape.causal);
  AddPriorityFlag(app, shape.priority);
}

void AddLoadFlags(CLI::App& app, BenchFlags& flags) {
  AddEnumFlag<Method>(app, "--method", flags.method,
                      {{"attend", Method::kAttend},
                       {"batch", Method::kBatch},
                       {"stream", Method::kStream}},
                      "RPC to use (default attend)");
  app.add_option("--batch-items", flags.batch_items,
                 "Requests in one AttendBatch (default 8)")
      ->check(CLI::Range(1, 4096));
  AddListFlag(app, "-c,--concurrency", flags.concurrencies,
              "Closed loop: calls under way (default 1); 1,2,4 runs once for "
              "each")
      ->check(CLI::Range(1, 4096));
  AddListFlag(app, "--rate", flags.rates,
              "Open loop: calls per second; latency counts from the intended "
              "send time; 50,100,200 runs once for each");
  AddEnumFlag<Arrivals>(
      app, "--arrivals", flags.arrivals,
      {{"poisson", Arrivals::kPoisson}, {"constant", Arrivals::kConstant}},
      "Open loop: gaps between sends (default poisson)");
  app.add_option("--max-in-flight", flags.max_in_flight,
                 "Open loop: calls under way at most; later ones wait, and "
                 "their latency with them (default 1024)")
      ->check(CLI::PositiveNumber);
  AddDurationFlag(app, "--duration", flags.duration,
                  "Send for this long (default 10s, endless with --requests)");
  app.add_option("-n,--requests", flags.requests,
                 "Stop after so many requests (0: by --duration alone)");
  app.add_option("--seed", flags.seed, "Of lengths, data and arrivals");
  app.add_option("--verify", flags.verify,
                 "Send the first N requests again, alone, and compare the "
                 "bytes of the answers");
  AddOutputFlag(app, flags.json);
  app.add_option("--json", flags.json_path, "Write the figures here as JSON")
      ->type_name("FILE");
  app.add_option("--plot", flags.plot_path,
                 "Draw latency against load here, as SVG; needs a list of "
                 "--concurrency or --rate")
      ->type_name("FILE");
}

// All but --sessions need it; it takes over what the others decide.
void AddDecodeFlags(CLI::App& app, DecodeFlags& decode) {
  CLI::Option* sessions =
      app.add_option("--sessions", decode.sessions,
                     "Decode with so many sessions, token by token")
          ->check(CLI::Range(1, 4096));
  for (const char* other :
       {"--batch-size", "--q-len", "--kv-len", "--causal", "--method",
        "--batch-items", "--concurrency", "--rate", "--arrivals",
        "--max-in-flight", "--duration", "--requests", "--verify", "--plot"}) {
    sessions->excludes(app.get_option(other));
  }
  app.add_option("--layers", decode.layers, "Layers of a session (default 1)")
      ->check(CLI::Range(1, 4096))
      ->needs(sessions);
  AddKvDtypeFlag(app, decode.kv_dtype)->needs(sessions);
  app.add_option("--prefix", decode.prefix,
                 "Tokens of each session before it decodes (default 1024)")
      ->check(CLI::NonNegativeNumber)
      ->needs(sessions);
  app.add_option("--steps", decode.steps,
                 "Tokens that each session decodes (default 64)")
      ->check(CLI::PositiveNumber)
      ->needs(sessions);
  app.add_flag("--batch", decode.batch,
               "Send all sessions of a step in one AttendBatch")
      ->needs(sessions);
}

}  // namespace

absl::Duration LoadDuration(const BenchFlags& flags) {
  if (flags.duration > absl::ZeroDuration()) {
    return flags.duration;
  }
  return flags.requests > 0 ? absl::InfiniteDuration() : absl::Seconds(10);
}

std::vector<BenchFlags> LevelsOf(const BenchFlags& flags) {
  std::vector<BenchFlags> levels;
  for (const double rate : flags.rates) {
    levels.push_back(flags);
    levels.back().rate = rate;
  }
  if (!levels.empty()) {
    return levels;
  }
  for (const uint64_t concurrency : flags.concurrencies) {
    levels.push_back(flags);
    levels.back().concurrency = concurrency;
  }
  return levels;
}

void AddBenchFlags(CLI::App& app, BenchFlags& flags) {
  AddShapeFlags(app, flags.shape);
  AddLoadFlags(app, flags);
  AddDecodeFlags(app, flags.decode);
}

absl::Status CheckBenchFlags(const BenchFlags& flags) {
  for (const double rate : flags.rates) {
    if (!(rate > 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--rate must be positive; got ", rate));
    }
  }
  if (!flags.plot_path.empty() && LevelsOf(flags).size() < 2) {
    return absl::InvalidArgumentError(
        "--plot draws latency against load; give several loads, such as "
        "--concurrency 1,2,4,8 or --rate 50,100,200");
  }
  if (flags.duration == absl::InfiniteDuration() && flags.requests == 0) {
    return absl::InvalidArgumentError("an endless --duration needs --requests");
  }
  const int64_t kv_heads = flags.shape.num_kv_heads;
  if (kv_heads < 0 ||
      (kv_heads != 0 && flags.shape.num_q_heads % kv_heads != 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--kv-heads must divide --q-heads; got ", kv_heads,
                     " and ", flags.shape.num_q_heads));
  }
  return absl::OkStatus();
}

}  // namespace attn::attnctl
