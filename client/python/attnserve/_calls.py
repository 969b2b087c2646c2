"""Every call of the contract as a value: what to send, what to make of the
reply, whether it may be repeated. Client and aio.Client only carry them out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Generic, TypedDict, TypeVar, cast

import grpc

from attnserve import _contract as pb
from attnserve import _session_codec as session_codec
from attnserve._attend_codec import ATTEND
from attnserve._channel import Metadata
from attnserve._fields import INTEGER, set_field
from attnserve._request_codec import AnyRequest, AnyResult, RequestCodec
from attnserve._tensor import Array, Kind
from attnserve._wire import WireError
from attnserve.errors import AttnError
from attnserve.request import AttendOptions, AttendRequest, Layout, Rope
from attnserve.response import AnyResponse, AttendResponse, AttendResult
from attnserve.session_state import SessionSpec, SessionState

T = TypeVar("T")

_PIECE_BYTES = 1 << 20


class CallOptions(TypedDict, total=False):
    """Keyword arguments that every call takes."""

    timeout: float | None
    """Seconds from the start of the call, retries included; None: the client's; math.inf: none."""
    wait_for_ready: bool
    """Wait for a server that is not up yet instead of failing with UnavailableError."""
    metadata: Metadata
    """Further metadata; keys are lower-case."""


class SessionAttendOptions(AttendOptions, CallOptions):
    """Keyword arguments of `Session.attend`."""


class ClientAttendOptions(SessionAttendOptions, total=False):
    """Keyword arguments of `Client.attend`."""

    session_id: str
    layer: int


@dataclass(frozen=True)
class CallSettings:
    """CallOptions with their defaults."""

    timeout: float | None = None
    wait_for_ready: bool = False
    metadata: Metadata = ()


@dataclass(frozen=True)
class Call(Generic[T]):
    """What goes out, and what to make of what comes back."""

    method: str
    request: Any
    """Bytes, or an iterator of them where requests are a stream."""
    decode: Callable[[bytes], T]
    may_retry: bool = True
    session_id: str = ""

    def read(self, reply: bytes) -> T:
        """Raises AttnError (INTERNAL) for a reply that is none."""
        try:
            return self.decode(reply)
        except (WireError, pb.DecodeError) as error:
            raise AttnError(grpc.StatusCode.INTERNAL, f"the reply does not parse: {error}") from error


def split_options(options: Any) -> tuple[dict[str, Any], CallOptions]:
    """The request's and the call's."""
    call = {name: value for name, value in options.items() if name in CallOptions.__annotations__}
    return {name: value for name, value in options.items() if name not in call}, cast(CallOptions, call)


def request_call(codec: RequestCodec[AnyRequest, AnyResponse, AnyResult], method: str,
                 request: AnyRequest) -> Call[AnyResponse]:
    kind = codec.kind(request)
    return Call(method, codec.encode_request(request).to_bytes(), lambda reply: codec.decode_response(reply, kind),
                codec.is_idempotent(request), request.session_id)


def batch_call(codec: RequestCodec[AnyRequest, AnyResponse, AnyResult], method: str,
               requests: Sequence[AnyRequest]) -> Call[list[AnyResult]]:
    return Call(method, codec.encode_batch(requests).to_bytes(), lambda reply: codec.decode_batch(reply, requests),
                all(codec.is_idempotent(request) for request in requests))


def attend(request: AttendRequest) -> Call[AttendResponse]:
    return request_call(ATTEND, "/attn.v1.AttentionService/Attend", request)


def attend_batch(requests: Sequence[AttendRequest]) -> Call[list[AttendResult]]:
    return batch_call(ATTEND, "/attn.v1.AttentionService/AttendBatch", requests)


class StreamCodec:
    """Requests and results of one stream; results are of the first request's library."""

    def __init__(self) -> None:
        self._kind: Kind | None = None

    def encode(self, request: AttendRequest) -> bytes:
        message = ATTEND.encode_request(request).to_bytes()
        self._kind = self._kind or ATTEND.kind(request)
        return message

    def decode(self, reply: bytes) -> AttendResult:
        kind = self._kind
        assert kind is not None  # A result follows a request.
        return ATTEND.decode_result(reply, kind)


def attend_stream(codec: StreamCodec, messages: Iterator[bytes] | AsyncIterator[bytes]) -> Call[AttendResult]:
    """`messages` are requests that `codec` encoded."""
    return Call("/attn.v1.AttentionService/AttendStream", messages, codec.decode)


def create_session(spec: SessionSpec, session_id: str) -> Call[SessionState]:
    request = pb.CreateSessionRequest(session_id=session_id, spec=session_codec.encode_spec(spec))
    return _session_call("CreateSession", request, session_codec.decode_session, session_id)


def fork_session(source_session_id: str, session_id: str, length: int | None) -> Call[SessionState]:
    request = pb.ForkSessionRequest(source_session_id=source_session_id, session_id=session_id)
    set_field(request, "length", INTEGER, length)
    return _session_call("ForkSession", request, session_codec.decode_session, source_session_id)


def truncate_session(session_id: str, length: int, layer: int | None) -> Call[SessionState]:
    request = pb.TruncateSessionRequest(session_id=session_id)
    set_field(request, "length", INTEGER, length)
    set_field(request, "layer", INTEGER, layer)
    return _session_call("TruncateSession", request, session_codec.decode_session, session_id)


def get_session(session_id: str) -> Call[SessionState]:
    return _session_call("GetSession", pb.GetSessionRequest(session_id=session_id),
                         session_codec.decode_session, session_id)


def list_sessions(page_token: str) -> Call[tuple[list[SessionState], str]]:
    return _session_call("ListSessions", pb.ListSessionsRequest(page_token=page_token), session_codec.decode_page)


def delete_session(session_id: str) -> Call[None]:
    return _session_call("DeleteSession", pb.DeleteSessionRequest(session_id=session_id), lambda _: None, session_id)


def append_kv(reference: Any, key: Array, value: Array, layout: Layout | None, rope: Rope | None) -> Call[int]:
    """`reference`: attn.v1.SessionRef. Answers the layer's length after the append."""
    return Call("/attn.v1.SessionService/AppendKv",
                session_codec.encode_append(reference, key, value, layout, rope),
                lambda reply: int(pb.AppendKvResponse.FromString(reply).session_length),
                reference.HasField("expected_length"), reference.session_id)


def export_session(session_id: str) -> Call[bytes]:
    """Answers with a stream of pieces."""
    return _session_call("ExportSession", pb.ExportSessionRequest(session_id=session_id),
                         lambda reply: bytes(pb.SnapshotChunk.FromString(reply).data), session_id)


def import_messages(file: BinaryIO, session_id: str) -> Iterator[bytes]:
    """The messages of an import."""
    first = True
    while (data := file.read(_PIECE_BYTES)) or first:
        yield pb.ImportSessionRequest(session_id=session_id if first else "", data=data).SerializeToString()
        first = False


def import_session(messages: Iterator[bytes] | AsyncIterator[bytes], session_id: str) -> Call[SessionState]:
    return Call("/attn.v1.SessionService/ImportSession", messages, session_codec.decode_session,
                session_id=session_id)


def check_health(service: str) -> Call[str]:
    """Answers "SERVING", "NOT_SERVING", ..."""
    def decode(reply: bytes) -> str:
        message = pb.HealthCheckResponse.FromString(reply)
        return str(message.DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number[message.status].name)

    return Call("/grpc.health.v1.Health/Check",
                pb.HealthCheckRequest(service=service).SerializeToString(), decode)


def _session_call(method: str, request: Any, decode: Callable[[bytes], T], session_id: str = "") -> Call[T]:
    return Call(f"/attn.v1.SessionService/{method}", request.SerializeToString(), decode, session_id=session_id)
