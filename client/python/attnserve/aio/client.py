"""The client: calls that are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
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
from attnserve.aio.session import Session
from attnserve.errors import AttnError, from_rpc
from attnserve.forward import ForwardRequest, ForwardResponse, ForwardResult, LayerSpec, WeightFormat
from attnserve.request import AttendRequest
from attnserve.response import AttendResponse, AttendResult
from attnserve.session_state import KvDtype, SessionSpec, SessionState

if TYPE_CHECKING:
    from typing import Unpack

T = TypeVar("T")


class Client:
    """A connection to one server; an async context manager. Confined to the
    event loop of its first call. As attnserve.Client but for `await`."""

    def __init__(self, target: str, *, tls: Tls | None = None, timeout: float = 30.0,
                 retry: RetryPolicy = RetryPolicy(), max_message_bytes: int = 512 << 20,
                 metadata: Metadata = (), token: str | Callable[[], str] = "",
                 channel_options: Sequence[tuple[str, Any]] = ()) -> None:
        """As attnserve.Client."""
        options = ChannelOptions(target, tls, retry, max_message_bytes, channel_options)
        self._connection = Connection(grpc.aio, options, timeout, metadata, token)

    async def close(self) -> None:
        """Cancels what runs. Later calls fail with ValueError."""
        for channel in self._connection.close():
            await channel.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self.close()

    async def attend(self, query: Array, key: Array | None = None, value: Array | None = None,
                     **options: Unpack[ClientAttendOptions]) -> AttendResponse:
        """As attnserve.Client.attend."""
        fields, call = calls.split_options(options)
        return await self._run(calls.attend(AttendRequest(query, key, value, **fields)), call)

    async def attend_batch(self, requests: Sequence[AttendRequest],
                           **options: Unpack[CallOptions]) -> list[AttendResult]:
        """As attnserve.Client.attend_batch."""
        return await self._run(calls.attend_batch(list(requests)), options)

    async def attend_stream(self, requests: Iterable[AttendRequest] | AsyncIterable[AttendRequest],
                            **options: Unpack[CallOptions]) -> AsyncIterator[AttendResult]:
        """As attnserve.Client.attend_stream; `requests` is read on the event loop."""
        codec = calls.StreamCodec()
        failures: list[Exception] = []

        async def feed() -> AsyncIterator[bytes]:
            try:
                async for request in _asynchronous(requests):
                    yield codec.encode(request)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)

        call = calls.attend_stream(codec, feed())
        async with aclosing(self._replies("stream_stream", call, options)) as results:
            async for result in results:
                yield result
        if failures:
            raise failures[0]

    async def create_session(self, *, num_kv_heads: int, head_dim: int, num_layers: int = 1,
                             value_head_dim: int = 0, kv_dtype: KvDtype | None = None, max_length: int = 0,
                             window: int = 0, idle_ttl: float | None = None, session_id: str = "",
                             **options: Unpack[CallOptions]) -> Session:
        """As attnserve.Client.create_session: `async with await client.create_session(...)`."""
        spec = SessionSpec(num_layers, num_kv_heads, head_dim, value_head_dim, kv_dtype, max_length, window, idle_ttl)
        return Session(self, await self._run(calls.create_session(spec, session_id), options), is_owned=True)

    async def open_session(self, session_id: str, **options: Unpack[CallOptions]) -> Session:
        """As attnserve.Client.open_session."""
        return Session(self, await self._run(calls.get_session(session_id), options), is_owned=False)

    def list_sessions(self, **options: Unpack[CallOptions]) -> AsyncIterator[SessionState]:
        """As attnserve.Client.list_sessions."""
        return self._pages(calls.list_sessions, options)

    async def import_session(self, file: BinaryIO, session_id: str = "", **options: Unpack[CallOptions]) -> Session:
        """As attnserve.Client.import_session; reads of `file` block the event loop."""
        failures: list[Exception] = []

        async def feed() -> AsyncIterator[bytes]:
            try:
                for message in calls.import_messages(file, session_id):
                    yield message
            except Exception as error:
                failures.append(error)
                raise  # gRPC then cancels the call.

        call = calls.import_session(feed(), session_id)
        try:
            reply = await self._connection.start("stream_unary", call, options)
        except (grpc.RpcError, asyncio.CancelledError) as error:
            if failures:
                raise failures[0] from error
            if isinstance(error, asyncio.CancelledError):
                raise
            raise from_rpc(error) from error
        return Session(self, call.read(reply), is_owned=True)

    async def forward(self, layer: str, hidden: Array, context: Array | None = None,
                      **options: Unpack[ClientForwardOptions]) -> ForwardResponse:
        """As attnserve.Client.forward."""
        fields, call = calls.split_options(options)
        return await self._run(layer_calls.forward(ForwardRequest(layer, hidden, context, **fields)), call)

    async def forward_batch(self, requests: Sequence[ForwardRequest],
                            **options: Unpack[CallOptions]) -> list[ForwardResult]:
        """As attnserve.Client.forward_batch."""
        return await self._run(layer_calls.forward_batch(list(requests)), options)

    def list_layers(self, **options: Unpack[CallOptions]) -> AsyncIterator[LayerSpec]:
        """As attnserve.Client.list_layers."""
        return self._pages(layer_calls.list_layers, options)

    async def get_layer(self, name: str, **options: Unpack[CallOptions]) -> LayerSpec:
        """As attnserve.Client.get_layer."""
        return await self._run(layer_calls.get_layer(name), options)

    async def load_layer(self, name: str, *, weights: WeightFormat | None = None,
                         **options: Unpack[CallOptions]) -> LayerSpec:
        """As attnserve.Client.load_layer."""
        return await self._run(layer_calls.load_layer(name, weights), options)

    async def unload_layer(self, name: str, **options: Unpack[CallOptions]) -> None:
        """As attnserve.Client.unload_layer."""
        await self._run(layer_calls.unload_layer(name), options)

    async def check_health(self, service: str = "", **options: Unpack[CallOptions]) -> str:
        """As attnserve.Client.check_health."""
        return await self._run(calls.check_health(service), options)

    async def _run(self, call: Call[T], options: CallOptions) -> T:
        try:
            reply = await self._connection.run(call, options)
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        return call.read(reply)

    async def _pages(self, call: Callable[[str], Call[tuple[list[T], str]]],
                     options: CallOptions) -> AsyncIterator[T]:
        """As attnserve.Client._pages."""
        token = ""
        while True:
            page, following = await self._run(call(token), options)
            for item in page:
                yield item
            if not following:
                return
            if following == token:
                raise AttnError(grpc.StatusCode.INTERNAL, "the server repeats a page of its list")
            token = following

    async def _replies(self, kind: str, call: Call[T], options: CallOptions) -> AsyncGenerator[T, None]:
        """Of a call that answers with a stream; closing it cancels the call."""
        replies = self._connection.start(kind, call, options)
        try:
            async for reply in replies:
                yield call.read(reply)
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        finally:
            replies.cancel()


async def _asynchronous(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
