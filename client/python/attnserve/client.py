"""The client: calls that block."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import grpc

from attnserve import _calls as calls
from attnserve import _layer_calls as layer_calls
from attnserve._calls import Call, CallOptions, ClientAttendOptions
from attnserve._channel import ChannelOptions, Metadata, RetryPolicy, Tls
from attnserve._connection import Connection
from attnserve._layer_calls import ClientForwardOptions
from attnserve._tensor import Array
from attnserve.errors import AttnError, from_rpc
from attnserve.forward import ForwardRequest, ForwardResponse, ForwardResult, LayerSpec, WeightFormat
from attnserve.request import AttendRequest
from attnserve.response import AttendResponse, AttendResult
from attnserve.session import Session
from attnserve.session_state import KvDtype, SessionSpec, SessionState

if TYPE_CHECKING:
    from typing import Unpack

T = TypeVar("T")


class Client:
    """A connection to one server; a context manager. Thread-safe.

    It connects with the first call and again whenever the connection is lost.
    Every call raises the errors of attnserve.errors, and before anything is
    sent TypeError or ValueError for arguments that the contract cannot say.
    """

    def __init__(self, target: str, *, tls: Tls | None = None, timeout: float = 30.0,
                 retry: RetryPolicy = RetryPolicy(), max_message_bytes: int = 512 << 20,
                 metadata: Metadata = (), token: str | Callable[[], str] = "",
                 channel_options: Sequence[tuple[str, Any]] = ()) -> None:
        """
        target: "host:port", "unix:/path" or another gRPC target.
        tls: None: plain text.
        timeout: seconds of a call that sets none, retries included; math.inf: none.
        max_message_bytes: largest message in either direction.
        metadata: sent with every call.
        token: the bearer token, or what gives it, asked at every call, so that
            it may change; "": none.
        channel_options: gRPC's channel arguments; they win over the client's own.
        """
        options = ChannelOptions(target, tls, retry, max_message_bytes, channel_options)
        self._connection = Connection(grpc, options, timeout, metadata, token)

    def close(self) -> None:
        """Cancels what runs. Later calls fail with ValueError."""
        for channel in self._connection.close():
            channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def attend(self, query: Array, key: Array | None = None, value: Array | None = None,
               **options: Unpack[ClientAttendOptions]) -> AttendResponse:
        """Attention of one request.

        query [B, num_q_heads, q_len, head_dim], key [B, num_kv_heads, kv_len,
        head_dim], value [B, num_kv_heads, kv_len, value_head_dim]: NumPy arrays or
        torch tensors of one dtype (f32, f16, bf16, f64). `options` are the fields
        of AttendRequest, and timeout, wait_for_ready, metadata (CallOptions). The
        response's tensors are of the query's library.

        Raises InvalidArgumentError, ResourceExhaustedError, QueueFullError,
        DeadlineExceededError, UnavailableError; with a session those of
        `Session.append`.
        """
        fields, call = calls.split_options(options)
        return self._run(calls.attend(AttendRequest(query, key, value, **fields)), call)

    def attend_batch(self, requests: Sequence[AttendRequest],
                     **options: Unpack[CallOptions]) -> list[AttendResult]:
        """At most 4096 requests of any shapes in one message. The results are in
        their order; each succeeds or fails for itself. Raises AttnError where
        the call as a whole fails."""
        return self._run(calls.attend_batch(list(requests)), options)

    def attend_stream(self, requests: Iterable[AttendRequest],
                      **options: Unpack[CallOptions]) -> Iterator[AttendResult]:
        """Requests pipelined; results as they finish: match them by request_id.

        `requests` is read in another thread once the first result is asked for;
        an error in it is raised here after the results of what came before it.
        No deadline unless `timeout` is given; never retried. To stop early,
        close the iterator. Raises AttnError.
        """
        codec = calls.StreamCodec()
        failures: list[Exception] = []

        def feed() -> Iterator[bytes]:
            try:
                for request in requests:
                    yield codec.encode(request)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)

        yield from self._replies("stream_stream", calls.attend_stream(codec, feed()), options)
        if failures:
            raise failures[0]

    def create_session(self, *, num_kv_heads: int, head_dim: int, num_layers: int = 1, value_head_dim: int = 0,
                       kv_dtype: KvDtype | None = None, max_length: int = 0, window: int = 0,
                       idle_ttl: float | None = None, session_id: str = "",
                       **options: Unpack[CallOptions]) -> Session:
        """Room for keys and values on the server; SessionSpec explains the numbers.
        An empty `session_id`: the server chooses. As a context manager the session
        is deleted at the end. Raises AlreadyExistsError, InvalidArgumentError,
        ResourceExhaustedError."""
        spec = SessionSpec(num_layers, num_kv_heads, head_dim, value_head_dim, kv_dtype, max_length, window, idle_ttl)
        return Session(self, self._run(calls.create_session(spec, session_id), options), is_owned=True)

    def open_session(self, session_id: str, **options: Unpack[CallOptions]) -> Session:
        """A session that is there already; as a context manager it is left there.
        Raises NotFoundError, whose reason says why it is gone."""
        return Session(self, self._run(calls.get_session(session_id), options), is_owned=False)

    def list_sessions(self, **options: Unpack[CallOptions]) -> Iterator[SessionState]:
        """All sessions in the order of their ids, page by page."""
        return self._pages(calls.list_sessions, options)

    def import_session(self, file: BinaryIO, session_id: str = "", **options: Unpack[CallOptions]) -> Session:
        """A session of what `Session.export` wrote, all or nothing, read from the
        binary `file`. An empty `session_id`: the snapshot's own. No deadline unless
        `timeout` is given. Raises DataLossError, AlreadyExistsError, and what the
        file raises."""
        failures: list[Exception] = []

        def feed() -> Iterator[bytes]:
            try:
                yield from calls.import_messages(file, session_id)
            except Exception as error:
                failures.append(error)
                raise  # gRPC then cancels the call.

        call = calls.import_session(feed(), session_id)
        try:
            reply = self._connection.start("stream_unary", call, options)
        except grpc.RpcError as error:
            raise failures[0] if failures else from_rpc(error) from error
        return Session(self, call.read(reply), is_owned=True)

    def forward(self, layer: str, hidden: Array, context: Array | None = None,
                **options: Unpack[ClientForwardOptions]) -> ForwardResponse:
        """Hidden states through an attention layer whose weights the server has.

        layer: its name, "<model>/<index>". hidden [B, q_len, hidden_dim], context
        [B, kv_len, hidden_dim]: NumPy arrays or torch tensors of one dtype (f32,
        f16, bf16). `options` are the fields of ForwardRequest, and CallOptions.

        Raises NotFoundError (LAYER_NOT_LOADED) and what `attend` raises.
        """
        fields, call = calls.split_options(options)
        return self._run(layer_calls.forward(ForwardRequest(layer, hidden, context, **fields)), call)

    def forward_batch(self, requests: Sequence[ForwardRequest],
                      **options: Unpack[CallOptions]) -> list[ForwardResult]:
        """As attend_batch, through any layers."""
        return self._run(layer_calls.forward_batch(list(requests)), options)

    def list_layers(self, **options: Unpack[CallOptions]) -> Iterator[LayerSpec]:
        """All layers that are loaded in the order of their names, page by page."""
        return self._pages(layer_calls.list_layers, options)

    def get_layer(self, name: str, **options: Unpack[CallOptions]) -> LayerSpec:
        """One that is loaded. Raises NotFoundError (LAYER_NOT_LOADED)."""
        return self._run(layer_calls.get_layer(name), options)

    def load_layer(self, name: str, *, weights: WeightFormat | None = None,
                   **options: Unpack[CallOptions]) -> LayerSpec:
        """Loads a layer of a model in the server's folder; `weights` None: kept as the
        server is set to. Raises AttnError (PERMISSION_DENIED) where the server does
        not allow it, NotFoundError, AlreadyExistsError, FailedPreconditionError
        (BAD_CHECKPOINT), ResourceExhaustedError (LAYER_MEMORY)."""
        return self._run(layer_calls.load_layer(name, weights), options)

    def unload_layer(self, name: str, **options: Unpack[CallOptions]) -> None:
        """Takes a layer away from new requests. Raises as load_layer."""
        self._run(layer_calls.unload_layer(name), options)

    def check_health(self, service: str = "", **options: Unpack[CallOptions]) -> str:
        """"SERVING" or "NOT_SERVING"; "" is the server as a whole. Raises
        NotFoundError for a service that it does not know."""
        return self._run(calls.check_health(service), options)

    def _fork_id(self, source_session_id: str, session_id: str) -> str:  # pylint: disable=unused-argument
        """What a fork is called; a ShardedClient's must be where its source is."""
        return session_id

    def _run(self, call: Call[T], options: CallOptions) -> T:
        try:
            reply = self._connection.run(call, options)
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        return call.read(reply)

    def _pages(self, call: Callable[[str], Call[tuple[list[T], str]]], options: CallOptions) -> Iterator[T]:
        """What is on all pages, of which `call` asks for one by its token."""
        token = ""
        while True:
            page, following = self._run(call(token), options)
            yield from page
            if not following:
                return
            if following == token:
                raise AttnError(grpc.StatusCode.INTERNAL, "the server repeats a page of its list")
            token = following

    def _replies(self, kind: str, call: Call[T], options: CallOptions) -> Generator[T, None, None]:
        """Of a call that answers with a stream; closing it cancels the call."""
        replies = self._connection.start(kind, call, options)
        try:
            for reply in replies:
                yield call.read(reply)
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        finally:
            replies.cancel()
