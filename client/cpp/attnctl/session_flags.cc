#include "client/cpp/attnctl/session_flags.h"

#include <utility>

#include "client/cpp/attnctl/enum_flags.h"
#include "client/cpp/attnctl/flag_types.h"
#include "client/cpp/attnctl/output_flag.h"
#include "client/cpp/attnctl/problem_source.h"

namespace attn::attnctl {
namespace {

void AddId(CLI::App& app, std::string& session_id) {
  app.add_option("id", session_id, "Session")->required()->type_name("ID");
}

void AddLayerFlags(CLI::App& app, client::SessionRef& session) {
  app.add_option("--layer", session.layer, "Layer (default 0)");
  app.add_option("--expected-length", session.expected_length,
                 "Tokens in the layer before this call; makes it repeatable");
}

// --random; the options that it stands for are `files`.
void AddRandomFlags(CLI::App& app, RandomTokens& random,
                    std::initializer_list<const char*> files) {
  CLI::Option* option =
      app.add_option("--random", random.tokens,
                     "Random rows for so many tokens instead of files")
          ->check(CLI::Range(int64_t{1}, int64_t{1} << 31))
          ->type_name("TOKENS");
  for (const char* file : files) {
    option->excludes(app.get_option(file));
  }
  app.add_option("--seed", random.seed, "Of --random")->needs(option);
  AddEnumFlag(app, "--random-dtype", random.dtype, FloatTypes(),
              "Element type of --random (default f32)")
      ->needs(option);
}

}  // namespace

void AddSessionCreateFlags(CLI::App& app, SessionCreateFlags& flags) {
  client::SessionSpec& spec = flags.spec;
  app.add_option("id", flags.session_id,
                 "[A-Za-z0-9_-], at most 64 (default: the server chooses)")
      ->type_name("ID");
  app.add_option("--layers", spec.num_layers, "Layers (default 1)");
  app.add_option("--kv-heads", spec.num_kv_heads, "KV heads (default 1)");
  app.add_option("--head-dim", spec.head_dim, "Of the keys")->required();
  app.add_option("--value-head-dim", spec.value_head_dim,
                 "Of the values (default: as --head-dim)");
  AddKvDtypeFlag(app, spec.kv_dtype);
  app.add_option("--max-length", spec.max_length,
                 "Tokens per layer at most (default: the server's limit)");
  app.add_option("--window", spec.window,
                 "Keep only the newest tokens; 0 = off");
  app.add_option_function<std::string>(
         "--idle-ttl",
         [&spec](const std::string& text) {
           absl::Duration ttl;
           if (!absl::ParseDuration(text, &ttl)) {
             throw CLI::ValidationError(
                 "--idle-ttl",
                 "must be a duration such as 90s, 10m; got \"" + text + "\"");
           }
           spec.idle_ttl = ttl;
         },
         "Idle time after which it is freed (default: the server's)")
      ->type_name("DURATION");
  AddJsonFlags(app, flags.json);
}

void AddSessionForkFlags(CLI::App& app, SessionForkFlags& flags) {
  app.add_option("source", flags.source_session_id, "Session to share")
      ->required()
      ->type_name("ID");
  app.add_option("id", flags.session_id,
                 "Of the fork (default: the server chooses)")
      ->type_name("ID");
  app.add_option("--length", flags.length,
                 "Share only the first tokens of every layer (default: all)");
  AddJsonFlags(app, flags.json);
}

void AddSessionTruncateFlags(CLI::App& app, SessionTruncateFlags& flags) {
  AddId(app, flags.session_id);
  app.add_option("length", flags.length, "Tokens to keep")
      ->required()
      ->type_name("LENGTH");
  app.add_option("--layer", flags.layer, "This layer alone (default: all)");
  AddJsonFlags(app, flags.json);
}

void AddSessionListFlags(CLI::App& app, SessionListFlags& flags) {
  CLI::Option* size = app.add_option("--page-size", flags.page_size,
                                     "One page of so many (default: all)");
  app.add_option("--page-token", flags.page_token,
                 "The page after the one that printed this")
      ->needs(size);
  AddJsonFlags(app, flags.json);
}

void AddSessionShowFlags(CLI::App& app, SessionShowFlags& flags) {
  AddId(app, flags.session_id);
  AddJsonFlags(app, flags.json);
}

void AddSessionExportFlags(CLI::App& app, SessionExportFlags& flags) {
  AddId(app, flags.session_id);
  app.add_option("file", flags.file,
                 "Written when all of it is there; - for stdout")
      ->required()
      ->type_name("FILE");
  AddJsonFlags(app, flags.json);
}

void AddSessionImportFlags(CLI::App& app, SessionImportFlags& flags) {
  app.add_option("file", flags.file, "Snapshot; - for stdin")
      ->required()
      ->type_name("FILE");
  app.add_option("id", flags.session_id,
                 "Of the session (default: as it was exported)")
      ->type_name("ID");
  AddJsonFlags(app, flags.json);
}

void AddSessionDeleteFlags(CLI::App& app, SessionDeleteFlags& flags) {
  app.add_option("ids", flags.session_ids, "Sessions")
      ->required()
      ->type_name("ID");
}

void AddSessionAppendFlags(CLI::App& app, SessionAppendFlags& flags) {
  AddId(app, flags.session.session_id);
  AddLayerFlags(app, flags.session);
  app.add_flag("--all-layers", flags.all_layers,
               "The same rows to every layer, one call each")
      ->excludes(app.get_option("--layer"));
  app.add_option("--key", flags.key, "Keys, .npy");
  app.add_option("--value", flags.value, "Values, .npy");
  AddRandomFlags(app, flags.random, {"--key", "--value"});
  AddEnumFlag(app, "--input-dtype", flags.input_dtype, FloatTypes(),
              "Convert key and value before they are sent");
  AddLayoutFlag(app, flags.layout, "key and value")
      ->excludes(app.get_option("--random"));
  AddRopeFlags(app, flags.rope);
  AddJsonFlags(app, flags.json);
}

void AddSessionAttendFlags(CLI::App& app, SessionAttendFlags& flags) {
  AddAttendFlags(app, flags.attend);
  app.remove_option(app.get_option("--session-id"));
  AddId(app, flags.attend.session.session_id);
  app.get_option("--query")->required(false);
  AddRandomFlags(app, flags.random,
                 {"--query", "--key", "--value", "--layout"});
  app.add_option("--q-heads", flags.num_q_heads,
                 "Query heads of --random (default: as the KV heads)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 31))
      ->needs(app.get_option("--random"));
}

absl::StatusOr<client::AttendRequest> RandomProblem(
    const client::SessionSpec& spec, const RandomTokens& random,
    int64_t num_q_heads) {
  ProblemShape shape;
  shape.num_kv_heads = spec.num_kv_heads;
  shape.num_q_heads = num_q_heads == 0 ? shape.num_kv_heads : num_q_heads;
  shape.q_len = {random.tokens, random.tokens};
  shape.kv_len = shape.q_len;
  shape.head_dim = spec.head_dim;
  shape.value_head_dim = spec.value_head_dim;
  shape.dtype = random.dtype;
  const absl::StatusOr<ProblemSource> source =
      ProblemSource::Create(shape, random.seed);
  if (!source.ok()) {
    return source.status();
  }
  return source->Make(0);
}

absl::StatusOr<client::AppendRequest> LoadAppend(
    const SessionAppendFlags& flags) {
  if (flags.random.tokens == 0 && (flags.key.empty() || flags.value.empty())) {
    return absl::InvalidArgumentError(
        "--key and --value, or --random, must be given");
  }
  client::AppendRequest request;
  request.session = flags.session;
  request.layout = flags.layout;
  absl::Status status = LoadTensor(flags.key, flags.input_dtype, request.key);
  status.Update(LoadTensor(flags.value, flags.input_dtype, request.value));
  absl::StatusOr<std::optional<client::RopeParams>> rope = LoadRope(flags.rope);
  status.Update(rope.status());
  if (!status.ok()) {
    return status;
  }
  request.rope = *std::move(rope);
  return request;
}

}  // namespace attn::attnctl
