"""How a client connects, waits and retries; the same for Client and aio.Client,
and the same as the C++ client's (client/cpp/transport.cc, service_config.cc)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

MAX_ATTEMPTS = 5  # gRPC caps at it.
_LARGEST = 2**31 - 1

Metadata = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class RetryPolicy:
    """gRPC's own retries of UNAVAILABLE and RESOURCE_EXHAUSTED. Where the server
    says how long to wait (QUEUE_FULL), that is what is waited. Appends without
    expected_length, CreateSession, ForkSession, DeleteSession, LoadLayer,
    UnloadLayer and streams are never repeated."""

    max_attempts: int = 4
    """In all, 1..5; 1: no retries."""
    initial_backoff: float = 0.1
    """Seconds, jittered by gRPC; each further wait is `multiplier` times longer."""
    max_backoff: float = 2.0
    """Seconds."""
    multiplier: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_attempts <= MAX_ATTEMPTS:
            raise ValueError(f"max_attempts must be 1..{MAX_ATTEMPTS}; got {self.max_attempts}")
        if not 0 < self.initial_backoff <= self.max_backoff < math.inf:
            raise ValueError("retry waits must satisfy 0 < initial_backoff <= max_backoff; "
                             f"got {self.initial_backoff} and {self.max_backoff}")
        if not 0 < self.multiplier < math.inf:
            raise ValueError(f"multiplier must be positive; got {self.multiplier}")


@dataclass(frozen=True)
class Tls:
    """What a TLS connection rests on, as PEM bytes."""

    root_certificates: bytes | None = None
    """Who is trusted; None: gRPC's own list."""
    private_key: bytes | None = None
    """With `certificate_chain`: who the client is (mTLS)."""
    certificate_chain: bytes | None = None
    server_name: str | None = None
    """Name in the server's certificate, where it is not that of the target."""

    def __post_init__(self) -> None:
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("private_key and certificate_chain belong together; got one of them")


@dataclass(frozen=True)
class ChannelOptions:
    """What makes a client's channels."""

    target: str
    tls: Tls | None
    retry: RetryPolicy
    max_message_bytes: int
    channel_options: Sequence[tuple[str, Any]]

    def __post_init__(self) -> None:
        if not self.target:
            raise ValueError("target must not be empty")
        if not 1 <= self.max_message_bytes <= _LARGEST:
            raise ValueError(f"max_message_bytes must be 1..2^31 - 1; got {self.max_message_bytes}")

    def credentials(self) -> grpc.ChannelCredentials | None:
        """None: plain text."""
        if self.tls is None:
            return None
        return grpc.ssl_channel_credentials(
            self.tls.root_certificates, self.tls.private_key, self.tls.certificate_chain)

    def arguments(self, may_retry: bool) -> list[tuple[str, Any]]:
        """gRPC's channel arguments."""
        arguments: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            # Its default of 256 KiB would never retry a tensor.
            ("grpc.per_rpc_retry_buffer_size", self.max_message_bytes),
            # gRPC's default is a second: longer than all attempts together.
            ("grpc.initial_reconnect_backoff_ms", 100),
            # The retry policy is ours, not something that DNS may replace.
            ("grpc.service_config_disable_resolution", 1),
        ]
        if self.tls is not None and self.tls.server_name is not None:
            arguments.append(("grpc.ssl_target_name_override", self.tls.server_name))
        if may_retry and self.retry.max_attempts > 1:
            arguments.append(("grpc.service_config", service_config(self.retry)))
        else:
            arguments.append(("grpc.enable_retries", 0))
        return arguments + list(self.channel_options)


def service_config(retry: RetryPolicy) -> str:
    """gRPC's service config (JSON)."""
    # Not here: CreateSession, ForkSession, DeleteSession, LoadLayer and UnloadLayer.
    # Where the answer was lost, a second attempt finds the session or layer made or
    # gone and reports that.
    names = [{"service": "attn.v1.AttentionService", "method": method} for method in ("Attend", "AttendBatch")]
    names += [{"service": "attn.v1.SessionService", "method": method}
              for method in ("AppendKv", "TruncateSession", "GetSession", "ListSessions")]
    names += [{"service": "attn.v1.LayerService", "method": method}
              for method in ("Forward", "ForwardBatch", "ListLayers", "GetLayer")]
    policy = {"maxAttempts": retry.max_attempts, "initialBackoff": f"{retry.initial_backoff:.9f}s",
              "maxBackoff": f"{retry.max_backoff:.9f}s", "backoffMultiplier": retry.multiplier,
              "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}]})


def session_metadata(session_id: str) -> list[tuple[str, str]]:
    """What a proxy routes by. An id that the contract does not allow is left
    out: the server names the fault, while gRPC may not take it as metadata."""
    return [("attn-session-id", session_id)] if re.fullmatch("[A-Za-z0-9_-]{1,64}", session_id) else []


def bearer_metadata(token: str | Callable[[], str]) -> list[tuple[str, str]]:
    """What shows the token, or what a function gives now; nothing for ""."""
    shown = token() if callable(token) else token
    return [("authorization", f"Bearer {shown}")] if shown else []


def seconds(timeout: float | None, default: float | None) -> float | None:
    """gRPC's timeout; None stands for the default, infinity for none.
    Raises ValueError unless it is positive."""
    chosen = default if timeout is None else timeout
    if chosen is None or chosen == math.inf:
        return None
    if not chosen > 0:
        raise ValueError(f"timeout must be positive; got {chosen}")
    return chosen
