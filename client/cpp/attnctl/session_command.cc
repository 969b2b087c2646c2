// `attnctl session`: flags -> one call (for all pages of a list: one each) ->
// text. The sub-commands that send tensors are in session_data_command.cc,
// those with files of sessions in session_snapshot_command.cc.
#include <cstdio>

#include "client/cpp/attnctl/command_group.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/session_data_command.h"
#include "client/cpp/attnctl/session_flags.h"
#include "client/cpp/attnctl/session_snapshot_command.h"
#include "client/cpp/attnctl/session_view.h"

namespace attn::attnctl {
namespace {

using client::Client;
using client::ListPage;
using client::Session;

int Print(const absl::StatusOr<Session>& session, bool json) {
  return PrintAnswer(session, json ? RenderSessionJson : RenderSession);
}

int RunCreate(const SessionCreateFlags& flags, Client& connected) {
  return Print(connected.CreateSession(flags.spec, flags.session_id),
               flags.json);
}

int RunFork(const SessionForkFlags& flags, Client& connected) {
  return Print(connected.ForkSession(flags.source_session_id, flags.session_id,
                                     flags.length),
               flags.json);
}

int RunTruncate(const SessionTruncateFlags& flags, Client& connected) {
  return Print(
      connected.TruncateSession(flags.session_id, flags.length, flags.layer),
      flags.json);
}

int RunShow(const SessionShowFlags& flags, Client& connected) {
  return Print(connected.GetSession(flags.session_id), flags.json);
}

absl::StatusOr<ListPage> List(const SessionListFlags& flags,
                              Client& connected) {
  if (flags.page_size > 0) {
    return connected.ListSessions(flags.page_size, flags.page_token);
  }
  absl::StatusOr<std::vector<Session>> sessions = connected.ListAllSessions();
  if (!sessions.ok()) {
    return sessions.status();
  }
  return ListPage{.sessions = *std::move(sessions)};
}

int RunList(const SessionListFlags& flags, Client& connected) {
  const absl::StatusOr<ListPage> page = List(flags, connected);
  if (!page.ok()) {
    return PrintCallError(page.status());
  }
  if (flags.json) {
    std::fputs(RenderSessionsJson(*page).c_str(), stdout);
    return kExitOk;
  }
  std::fputs(RenderSessions(page->sessions).c_str(), stdout);
  if (!page->next_page_token.empty()) {
    std::printf("next page: --page-token %s\n", page->next_page_token.c_str());
  }
  return kExitOk;
}

int RunDelete(const SessionDeleteFlags& flags, Client& connected) {
  return CallEach(flags.session_ids, [&](const std::string& session_id) {
    return connected.DeleteSession(session_id);
  });
}

}  // namespace

void AddSessionCommand(CLI::App& app, const GlobalOptions& globals,
                       Action& action) {
  CLI::App* command = app.add_subcommand(
      "session", "Keep keys and values on the server, attend to them");
  command->require_subcommand(1);
  const CommandGroup group = {*command, globals, action};
  AddCommand(group, "create", "Make an empty session", AddSessionCreateFlags,
             RunCreate);
  AddCommand(group, "append", "Append keys and values to a layer",
             AddSessionAppendFlags, RunSessionAppend);
  AddCommand(group, "attend",
             "Append to a layer, if anything, and attend to it",
             AddSessionAttendFlags, RunSessionAttend);
  AddCommand(group, "fork", "Make a session that shares tokens of another one",
             AddSessionForkFlags, RunFork);
  AddCommand(group, "truncate", "Drop tokens from the end",
             AddSessionTruncateFlags, RunTruncate);
  AddCommand(group, "list", "List sessions", AddSessionListFlags, RunList);
  AddCommand(group, "show", "Show one session", AddSessionShowFlags, RunShow);
  AddCommand(group, "export", "Save a session to a file", AddSessionExportFlags,
             RunSessionExport);
  AddCommand(group, "import", "Make a session of such a file",
             AddSessionImportFlags, RunSessionImport);
  AddCommand(group, "delete", "Free sessions", AddSessionDeleteFlags,
             RunDelete);
}

}  // namespace attn::attnctl
