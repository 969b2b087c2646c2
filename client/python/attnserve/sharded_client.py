"""A client of several servers, for those without a proxy: every call of a session
goes to the server that has it, calls without a session to each server in turn."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from attnserve._calls import Call, CallOptions, ClientAttendOptions
from attnserve._layer_calls import ClientForwardOptions
from attnserve._request_codec import AnyRequest
from attnserve._tensor import Array
from attnserve.client import Client
from attnserve.errors import AttnError, NotFoundError, UnavailableError
from attnserve.forward import ForwardRequest, ForwardResponse, ForwardResult
from attnserve.rendezvous import owner_of, routing_key
from attnserve.request import AttendRequest
from attnserve.response import AttendResponse, AttendResult
from attnserve.session import Session
from attnserve.session_state import SessionState

if TYPE_CHECKING:
    from typing import Unpack

T = TypeVar("T")

# The server is there and does not know the session, through no act of a client.
_LOST = {"SESSION_NEVER_EXISTED", "SERVER_RESTARTED"}
# These say where a session is to be, or that it is to go: there is nothing to bring back.
_NEVER_RESTORED = ("CreateSession", "ForkSession", "DeleteSession", "ImportSession")


@dataclass(frozen=True)
class LostSession:
    """A session whose server no longer knows it."""

    session_id: str
    address: str
    """Of its server."""
    error: NotFoundError
    """Its `reason` says why."""


Restore = Callable[[LostSession, Client], None]
"""Makes the session again on the client, its server, and brings it to the length
that it had: create_session and append of what the caller still has, or
import_session of an export. The call that found the session missing is then sent
again; its expected_length says whether the session is as long as it has to be.
Called on the thread of that call, one at a time; it raises what it cannot do."""


class ShardedClient:
    """One Client for each of several servers; a context manager. Thread-safe.

    Where a session is depends on its id and the list of addresses alone, never on
    which servers are up: so all clients agree, and a server that comes back has its
    own sessions' calls again. Another list is another ShardedClient.

    Ids are made here, where the caller gives none. A fork's id begins with its
    source's routing key and "--". A server that is away loses its own sessions' calls
    alone: UnavailableError, whose `server` says which. One that comes back without
    them answers NotFoundError (SESSION_NEVER_EXISTED, SERVER_RESTARTED); only the
    caller can make them again, by `restore`.
    """

    def __init__(self, addresses: Sequence[str], *, restore: Restore | None = None, away_pause: float = 1.0,
                 **options: Any) -> None:
        """
        addresses: "host:port" of every server. They are the servers' names, too:
            give all clients the same ones, best such that stay (of a StatefulSet:
            "attnserve-0.attnserve:8001"); resolve_addresses finds those of a headless
            service.
        away_pause: seconds for which calls without a session pass over a server that
            did not answer.
        options: of each Client.
        Raises ValueError for no address and for one that is there twice.
        """
        if not addresses or len(set(addresses)) != len(addresses):
            raise ValueError(f"addresses must be some that differ; got {list(addresses)}")
        self._addresses = list(addresses)
        self._clients = [_ServerClient(address, restore, **options) for address in addresses]
        self._rotation = _Rotation(len(addresses), away_pause)
        self._timeout = options.get("timeout", 30.0)

    def close(self) -> None:
        """As Client.close, of all."""
        for client in self._clients:
            client.close()

    def __enter__(self) -> ShardedClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    @property
    def addresses(self) -> list[str]:
        return list(self._addresses)

    @property
    def clients(self) -> list[Client]:
        """Of each address; for health, for a SplitContext, for all that is not here."""
        return list(self._clients)

    def server_of(self, session_id: str) -> Client:
        """The client of the server that has, or would have, the session."""
        return self._clients[owner_of(self._addresses, session_id)]

    def attend(self, query: Array, key: Array | None = None, value: Array | None = None,
               **options: Unpack[ClientAttendOptions]) -> AttendResponse:
        """As Client.attend. Without a session the next server is asked where one is
        unavailable, until all were asked or the deadline has passed."""
        return self._answer(lambda client, options: client.attend(query, key, value, **options), options)

    def attend_batch(self, requests: Sequence[AttendRequest],
                     **options: Unpack[CallOptions]) -> list[AttendResult]:
        """As Client.attend_batch, in a message to each server that has sessions of it
        and one for what has none, one after the other. Raises the first error of a
        message as a whole; a server that is away is passed over from the next call
        on."""
        return self._answers(lambda client, part: client.attend_batch(part, **options), requests)

    def forward(self, layer: str, hidden: Array, context: Array | None = None,
                **options: Unpack[ClientForwardOptions]) -> ForwardResponse:
        """As Client.forward, on the servers that `attend` asks: each of them must have
        loaded the layer (`clients` load and list them)."""
        return self._answer(lambda client, options: client.forward(layer, hidden, context, **options), options)

    def forward_batch(self, requests: Sequence[ForwardRequest],
                      **options: Unpack[CallOptions]) -> list[ForwardResult]:
        """As Client.forward_batch, in messages as those of attend_batch."""
        return self._answers(lambda client, part: client.forward_batch(part, **options), requests)

    def create_session(self, *, session_id: str = "", **options: Any) -> Session:
        """As Client.create_session; an empty id: 128 random bits. The session's own
        calls go to its server."""
        chosen = session_id or secrets.token_hex(16)
        return self.server_of(chosen).create_session(session_id=chosen, **options)

    def open_session(self, session_id: str, **options: Unpack[CallOptions]) -> Session:
        """As Client.open_session."""
        return self.server_of(session_id).open_session(session_id, **options)

    def list_sessions(self, **options: Unpack[CallOptions]) -> Iterator[SessionState]:
        """Of all servers, in the order of their addresses."""
        for client in self._clients:
            yield from client.list_sessions(**options)

    def import_session(self, file: BinaryIO, session_id: str, **options: Unpack[CallOptions]) -> Session:
        """As Client.import_session. Raises ValueError for an empty id: the place is
        needed before the snapshot says its own."""
        if not session_id:
            raise ValueError("session_id must not be empty: the server follows from it")
        return self.server_of(session_id).import_session(file, session_id, **options)

    def _answer(self, call: Callable[[Client, Any], T], options: Any) -> T:
        """`call` of the session's server or, without a session, of one that is there."""
        session_id = options.get("session_id", "")
        if session_id:
            return call(self.server_of(session_id), options)
        timeout = options.get("timeout")
        end = time.monotonic() + (self._timeout if timeout is None else timeout)
        for tried in range(len(self._clients)):
            server = self._rotation.next(time.monotonic())
            try:
                return call(self._clients[server], options)
            except UnavailableError:
                now = time.monotonic()
                self._rotation.mark_away(server, now)
                if tried + 1 == len(self._clients) or now >= end:
                    raise
                options["timeout"] = end - now
        raise AssertionError("unreachable")

    def _answers(self, call: Callable[[Client, list[AnyRequest]], list[T]], requests: Sequence[AnyRequest]) -> list[T]:
        """In the order of `requests`, of which `call` gets those of one server."""
        anywhere = self._rotation.next(time.monotonic())
        places: dict[int, list[int]] = {}
        for n, request in enumerate(requests):
            server = owner_of(self._addresses, request.session_id) if request.session_id else anywhere
            places.setdefault(server, []).append(n)
        results: dict[int, T] = {}
        for server, numbers in places.items():
            try:
                results.update(zip(numbers, call(self._clients[server], [requests[n] for n in numbers])))
            except UnavailableError:
                if server == anywhere:
                    self._rotation.mark_away(server, time.monotonic())
                raise
        return [results[n] for n in range(len(requests))]


class _ServerClient(Client):
    """Client of one of the servers. Its sessions' forks get ids that stay there, its
    errors say which server, and lost sessions are restored."""

    def __init__(self, address: str, restore: Restore | None, **options: Any) -> None:
        super().__init__(address, **options)
        self._address = address
        self._restore = restore
        self._restoring = threading.Lock()
        self._restorer: int | None = None  # Thread that holds it.

    def _fork_id(self, source_session_id: str, session_id: str) -> str:
        key = routing_key(source_session_id)
        chosen = session_id or f"{key}--{secrets.token_hex(8)}"
        if routing_key(chosen) != key:
            raise ValueError(f"session_id must be {key + '--'!r} and more, so that it is on the server of its source; "
                             f"got {chosen!r}")
        return chosen

    def _run(self, call: Call[T], options: CallOptions) -> T:
        try:
            return self._run_here(call, options)
        except NotFoundError as error:
            if not self._is_lost(call, error):
                raise
        return self._run_restored(call, options)

    def _run_here(self, call: Call[T], options: CallOptions) -> T:
        try:
            return super()._run(call, options)
        except AttnError as error:
            error.server = self._address
            raise

    def _is_lost(self, call: Call[Any], error: NotFoundError) -> bool:
        return (self._restore is not None and bool(call.session_id) and error.reason in _LOST
                and not call.method.endswith(_NEVER_RESTORED) and self._restorer != threading.get_ident())

    def _run_restored(self, call: Call[T], options: CallOptions) -> T:
        with self._restoring:
            try:
                return self._run_here(call, options)  # Another thread may have restored it meanwhile.
            except NotFoundError as error:
                if not self._is_lost(call, error):
                    raise
                assert self._restore is not None
                self._restorer = threading.get_ident()
                try:
                    self._restore(LostSession(call.session_id, self._address, error), self)
                finally:
                    self._restorer = None
            return self._run_here(call, options)


class _Rotation:
    """Each server in turn, those passed over that were away a moment ago. Thread-safe."""

    def __init__(self, count: int, pause: float) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._next = 0
        self._away_until = [0.0] * count

    def next(self, now: float) -> int:
        with self._lock:
            count = len(self._away_until)
            order = [(self._next + n) % count for n in range(count)]
            chosen = next((n for n in order if self._away_until[n] <= now), order[0])
            self._next = (chosen + 1) % count
            return chosen

    def mark_away(self, server: int, now: float) -> None:
        with self._lock:
            self._away_until[server] = now + self._pause
