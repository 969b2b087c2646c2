// The only way from a handler to what it works with. A service holds a gate
// instead of the context itself, and the gate hands the context out together
// with the caller's tenant, to calls that were let in: a handler that forgets
// to ask cannot be written.
#pragma once

#include <utility>

#include "server/access/doorkeeper.h"
#include "server/grpc_status.h"

namespace attn {

// A call that was turned away, of any kind. Owns itself until gRPC's OnDone.
template <typename Reactor>
class RefusedCall final : public Reactor {
 public:
  explicit RefusedCall(const grpc::Status& status) { this->Finish(status); }
  void OnDone() override { delete this; }
};

// Thread-safe.
template <typename Context>
class Gate {
 public:
  // Borrows both, which must outlive it.
  Gate(const Doorkeeper& doorkeeper, const Context& context)
      : doorkeeper_(doorkeeper), context_(context) {}

  // The reactor that `handle(context, tenant)` returns, or one that ends the
  // call with why it was not let in. Nothing of the call but its credentials
  // has been looked at then.
  template <typename Reactor, typename Handler>
  Reactor* Enter(RpcMethod method, const grpc::CallbackServerContext& call,
                 Handler handle) const {
    const absl::StatusOr<Tenant*> tenant = doorkeeper_.Admit(method, call);
    if (tenant.ok()) return handle(context_, **tenant);
    return new RefusedCall<Reactor>(ToGrpcStatus(tenant.status()));
  }

 private:
  const Doorkeeper& doorkeeper_;
  const Context& context_;
};

}  // namespace attn
