#include "client/cpp/attnctl/session_data_command.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/attend_command.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/json_text.h"

namespace attn::attnctl {
namespace {

using client::Session;
using client::SessionRef;

void PrintAppended(const SessionRef& session, uint64_t length, bool json) {
  const std::string text =
      json ? absl::StrFormat(
                 "{\"session_id\": %s, \"layer\": %d, \"session_length\": "
                 "%d}\n",
                 JsonString(session.session_id), session.layer, length)
           : absl::StrFormat("layer %d has %d tokens\n", session.layer, length);
  std::fputs(text.c_str(), stdout);
}

// To layers [first, last); stops at the first that fails.
int AppendToLayers(client::AppendRequest request, uint32_t first, uint32_t last,
                   const SessionAppendFlags& flags, client::Client& connected) {
  for (uint32_t layer = first; layer < last; ++layer) {
    request.session.layer = layer;
    const absl::StatusOr<uint64_t> length = connected.AppendKv(request);
    if (!length.ok()) {
      return PrintCallError(length.status());
    }
    PrintAppended(request.session, *length, flags.json);
  }
  return kExitOk;
}

}  // namespace

int RunSessionAppend(const SessionAppendFlags& flags,
                     client::Client& connected) {
  absl::StatusOr<client::AppendRequest> request = LoadAppend(flags);
  if (!request.ok()) {
    return PrintUsageError(request.status());
  }
  uint32_t first = flags.session.layer;
  uint32_t last = first + 1;
  if (flags.random.tokens > 0 || flags.all_layers) {
    const absl::StatusOr<Session> session =
        connected.GetSession(flags.session.session_id);
    if (!session.ok()) {
      return PrintCallError(session.status());
    }
    if (flags.all_layers) {
      first = 0;
      last = session->spec.num_layers;
    }
    if (flags.random.tokens > 0) {
      auto problem = RandomProblem(session->spec, flags.random, 0);
      if (!problem.ok()) {
        return PrintUsageError(problem.status());
      }
      request->key = std::move(problem->key);
      request->value = std::move(problem->value);
    }
  }
  return AppendToLayers(*std::move(request), first, last, flags, connected);
}

int RunSessionAttend(const SessionAttendFlags& flags,
                     client::Client& connected) {
  absl::StatusOr<client::AttendRequest> request = LoadRequest(flags.attend);
  if (request.ok() && flags.random.tokens == 0 && !request->query.present()) {
    request = absl::InvalidArgumentError("--query or --random must be given");
  }
  if (!request.ok()) {
    return PrintUsageError(request.status());
  }
  if (flags.random.tokens > 0) {
    const absl::StatusOr<Session> session =
        connected.GetSession(flags.attend.session.session_id);
    if (!session.ok()) {
      return PrintCallError(session.status());
    }
    auto problem =
        RandomProblem(session->spec, flags.random, flags.num_q_heads);
    if (!problem.ok()) {
      return PrintUsageError(problem.status());
    }
    request->query = std::move(problem->query);
    request->key = std::move(problem->key);
    request->value = std::move(problem->value);
  }
  return SendAndShow(flags.attend, *request, connected);
}

}  // namespace attn::attnctl
