"""Errors that a server or gRPC answered. What is wrong before anything is sent
is a ValueError or TypeError, as everywhere in Python.

One class for each code that callers treat in a way of its own; the server's
reason, its field violations and how long to wait are attributes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import grpc

from attnserve import _contract as pb

_DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True)
class FieldViolation:
    """One request field at fault."""

    field: str
    """"key.shape[3]"."""
    description: str
    """The rule and the found values."""


@dataclass(frozen=True)
class ErrorDetails:
    """What google.rpc.Status says beyond code and message."""

    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    field_violations: tuple[FieldViolation, ...] = ()
    retry_delay: float | None = None


class AttnError(Exception):
    """A call failed."""

    def __init__(self, code: grpc.StatusCode, message: str, details: ErrorDetails = ErrorDetails()) -> None:
        super().__init__(code, message, details)
        self.code = code
        self.message = message
        self.reason = details.reason
        """"INVALID_TENSOR", "QUEUE_FULL", ... (proto/README.md); "" where gRPC itself failed."""
        self.metadata = details.metadata
        """ErrorInfo's."""
        self.field_violations = details.field_violations
        self.retry_delay = details.retry_delay
        """Seconds after which another try may help; None: the server does not say."""
        self.server = ""
        """Which one, where the client is a ShardedClient's; "" for any other."""

    def __str__(self) -> str:
        reason = f" ({self.reason})" if self.reason else ""
        fields = [f"\n  {violation.field}: {violation.description}" for violation in self.field_violations
                  if violation.field not in self.message]
        wait = f"\n  retry after {self.retry_delay:g} s" if self.retry_delay is not None else ""
        server = f"server {self.server}: " if self.server else ""
        return f"{self.code.name}{reason}: {server}{self.message}{''.join(fields)}{wait}"


class InvalidArgumentError(AttnError, ValueError):
    """A tensor or option that the contract does not allow; `field_violations` names it."""


class NotFoundError(AttnError, LookupError):
    """No such session; `reason` says why: SESSION_NEVER_EXISTED, SESSION_EXPIRED,
    SESSION_DELETED or SERVER_RESTARTED. Or no such layer: LAYER_NOT_LOADED, LAYER_NOT_FOUND."""


class AlreadyExistsError(AttnError):
    """The session id is taken, or the layer is loaded."""


class FailedPreconditionError(AttnError):
    """The session is not as the call wants it: SPEC_MISMATCH, MAX_LENGTH. Or the file of a layer: BAD_CHECKPOINT."""


class LengthMismatchError(FailedPreconditionError):
    """The layer has another length than `expected_length`, a fork or a truncation says."""

    @property
    def found_length(self) -> int | None:
        """Tokens that the server found in the layer."""
        found = self.metadata.get("found_length", "")
        return int(found) if found.isdecimal() else None


class ResourceExhaustedError(AttnError):
    """No room: KV_MEMORY, QUOTA, LAYER_MEMORY, REQUEST_TOO_LARGE, or the transport's own."""


class QueueFullError(ResourceExhaustedError):
    """The server's queue is full, after all retries; `retry_delay` says when to come back."""


class DeadlineExceededError(AttnError, TimeoutError):
    """The deadline passed, or the server saw that it cannot be met (DEADLINE_UNREACHABLE)."""


class UnavailableError(AttnError, ConnectionError):
    """No server, a lost connection, or one that is shutting down (DRAINING)."""


class DataLossError(AttnError):
    """A damaged snapshot; nothing was created."""


class CancelledError(AttnError):
    """The call was cancelled."""


_BY_REASON = {"LENGTH_MISMATCH": LengthMismatchError, "QUEUE_FULL": QueueFullError}
_BY_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DATA_LOSS: DataLossError,
    grpc.StatusCode.CANCELLED: CancelledError,
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def from_status(code: grpc.StatusCode, message: str, details: ErrorDetails = ErrorDetails()) -> AttnError:
    """The error of the class that code and reason ask for."""
    kind = _BY_REASON.get(details.reason) or _BY_CODE.get(code, AttnError)
    return kind(code, message, details)


def from_item(code: int, message: str) -> AttnError:
    """The error of an item of a batch or stream, which has a code and a message alone."""
    return from_status(_CODES.get(code, grpc.StatusCode.UNKNOWN), message)


def from_rpc(error: Any) -> AttnError:
    """The error of a grpc.RpcError, of either API."""
    trailer = {key: value for key, value in error.trailing_metadata() or ()}  # aio's is no mapping for dict().
    return from_status(error.code(), error.details() or "", parse_details(trailer.get(_DETAILS_KEY, b"")))


def parse_details(serialized: bytes) -> ErrorDetails:
    """Those of a google.rpc.Status; none where the bytes are damaged."""
    reason, delay = "", None
    metadata: dict[str, str] = {}
    violations: tuple[FieldViolation, ...] = ()
    try:
        for any_message in pb.Status.FromString(serialized).details:
            kind = any_message.type_url.rpartition("/")[2]
            if kind == "google.rpc.ErrorInfo":
                info = pb.ErrorInfo.FromString(any_message.value)
                reason, metadata = info.reason, dict(info.metadata)
            elif kind == "google.rpc.BadRequest":
                violations = tuple(FieldViolation(violation.field, violation.description) for violation
                                   in pb.BadRequest.FromString(any_message.value).field_violations)
            elif kind == "google.rpc.RetryInfo":
                wait = pb.RetryInfo.FromString(any_message.value).retry_delay
                delay = wait.seconds + wait.nanos / 1e9
    except pb.DecodeError:
        return ErrorDetails()
    return ErrorDetails(reason, metadata, violations, delay)
