#include "client/cpp/attnctl/access_flags.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"

namespace attn::attnctl {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  if (!file.is_open() || file.bad() || text.empty()) {
    throw CLI::ValidationError(path, "cannot be read, or is empty");
  }
  return text;
}

client::TlsOptions& Tls(GlobalOptions& globals) {
  if (!globals.tls.has_value()) {
    globals.tls.emplace();
  }
  return *globals.tls;
}

// A PEM file that goes into `field`.
CLI::Option* AddPemFlag(CLI::App& app, const std::string& flag,
                        GlobalOptions& globals,
                        std::string client::TlsOptions::*field,
                        const std::string& help) {
  return app.add_option_function<std::string>(
      flag,
      [&globals, field](const std::string& path) {
        Tls(globals).*field = ReadFile(path);
      },
      help);
}

}  // namespace

void AddAccessFlags(CLI::App& app, GlobalOptions& globals) {
  app.add_flag_callback(
      "--tls", [&globals] { Tls(globals); },
      "Speak TLS, trusting whom this machine does");
  AddPemFlag(app, "--tls-ca", globals, &client::TlsOptions::root_certificates,
             "PEM file of the CA that the server's certificate is of; TLS")
      ->envname("ATTNCTL_TLS_CA");
  AddPemFlag(app, "--tls-certificate", globals,
             &client::TlsOptions::certificate_chain,
             "PEM file of the client's own certificate; TLS")
      ->envname("ATTNCTL_TLS_CERTIFICATE");
  AddPemFlag(app, "--tls-key", globals, &client::TlsOptions::private_key,
             "PEM file of its key; TLS")
      ->envname("ATTNCTL_TLS_KEY");
  app.add_option_function<std::string>(
         "--tls-server-name",
         [&globals](const std::string& name) {
           Tls(globals).server_name = name;
         },
         "Name in the server's certificate, where the address has another; TLS")
      ->envname("ATTNCTL_TLS_SERVER_NAME");
  if (const char* token = std::getenv("ATTNCTL_TOKEN")) {
    globals.token = token;
  }
  app.add_option_function<std::string>(
         "--token-file",
         [&globals](const std::string& path) {
           globals.token =
               std::string(absl::StripAsciiWhitespace(ReadFile(path)));
         },
         "File of the bearer token, for gRPC and HTTP; the token itself may be "
         "in ATTNCTL_TOKEN")
      ->envname("ATTNCTL_TOKEN_FILE");
}

}  // namespace attn::attnctl
