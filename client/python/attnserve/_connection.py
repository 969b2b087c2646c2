"""The channels of a client, and how a call is started on them; the same for
Client (with grpc) and aio.Client (with grpc.aio)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc

from attnserve._calls import Call, CallOptions, CallSettings
from attnserve._channel import ChannelOptions, Metadata, bearer_metadata, seconds, session_metadata


class Connection:
    """Thread-safe, as far as its channels are."""

    def __init__(self, api: Any, options: ChannelOptions, timeout: float | None, metadata: Metadata,
                 token: str | Callable[[], str]) -> None:
        """api: grpc or grpc.aio, which call what is used here the same."""
        self._api = api
        self._options = options
        self._timeout = seconds(timeout, None)
        self._metadata = tuple(metadata)
        self._token = token
        self._lock = threading.Lock()
        self._channels: dict[bool, grpc.Channel] = {}  # By whether calls are retried.
        self._is_closed = False

    def close(self) -> list[Any]:
        """The channels, for the caller to close. Later calls fail."""
        with self._lock:
            self._is_closed = True
            return list(self._channels.values())

    def run(self, call: Call[Any], options: CallOptions) -> Any:
        """Starts a unary call, with the client's deadline unless there is another one."""
        return self.start("unary_unary", call, options, self._timeout)

    def start(self, kind: str, call: Call[Any], options: CallOptions, default_timeout: float | None = None) -> Any:
        """Starts a call of that kind ("unary_stream", ...) and gives what gRPC
        gives. Raises TypeError, ValueError for options that are none, ValueError
        once closed."""
        settings = CallSettings(**options)
        timeout = seconds(settings.timeout, default_timeout)
        metadata = (*self._metadata, *bearer_metadata(self._token), *settings.metadata,
                    *session_metadata(call.session_id))
        start = getattr(self._channel(call.may_retry), kind)(call.method)
        return start(call.request, timeout=timeout, metadata=metadata, wait_for_ready=settings.wait_for_ready)

    def _channel(self, may_retry: bool) -> Any:
        """gRPC switches retries off by channel alone, so calls that must not be
        repeated have one of their own."""
        with self._lock:
            if self._is_closed:
                raise ValueError("the client is closed")
            if may_retry not in self._channels:
                target, arguments = self._options.target, self._options.arguments(may_retry)
                credentials = self._options.credentials()
                self._channels[may_retry] = (
                    self._api.insecure_channel(target, arguments) if credentials is None
                    else self._api.secure_channel(target, credentials, arguments))
            return self._channels[may_retry]
