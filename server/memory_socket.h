// The Unix socket where clients get their regions of shared memory
// (proto/attn/v1/shared_memory.proto). A region lives as long as its
// connection.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "server/descriptor.h"
#include "server/shared_memory.h"

namespace attn {

// Thread-safe.
class MemorySocket {
 public:
  // More of them are hung up on.
  static constexpr size_t kMaxConnections = 256;

  // Whether who sent this token, "" for none, may have memory. Called on the
  // socket's thread.
  using Admit = std::function<absl::Status(const std::string& token)>;

  // Listens at `path` on a thread of its own. Borrows `memory`, which must
  // outlive it. Errors: as ListenForPackets.
  static absl::StatusOr<std::unique_ptr<MemorySocket>> Start(
      const std::string& path, SharedMemory& memory, Admit admit);

  // Hangs up on all clients and removes the file.
  ~MemorySocket();
  MemorySocket(const MemorySocket&) = delete;
  MemorySocket& operator=(const MemorySocket&) = delete;

 private:
  struct Connection {
    Descriptor socket;           // Closed: over.
    std::string region_id = {};  // Empty: has not asked yet.
  };

  MemorySocket(std::string path, Descriptor listener, Descriptor stop,
               SharedMemory& memory, Admit admit);

  void Serve();
  void Accept();
  // False when the connection is over.
  bool HandlePacket(Connection& connection);
  // The same; answers a RegionRequest.
  bool Answer(const std::string& request, Connection& connection);

  const std::string path_;
  const Descriptor listener_;
  const Descriptor stop_;
  SharedMemory& memory_;
  const Admit admit_;
  std::vector<Connection> connections_;  // The thread's.
  std::thread thread_;
};

}  // namespace attn
