"""Sessions for asyncio."""

from __future__ import annotations

from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal

from attnserve import _calls as calls
from attnserve._calls import CallOptions, SessionAttendOptions
from attnserve._session_lengths import SessionLengths
from attnserve._tensor import Array
from attnserve.errors import NotFoundError
from attnserve.request import Layout, Rope
from attnserve.response import AttendResponse
from attnserve.session_state import SessionState

if TYPE_CHECKING:
    from typing import Unpack

    from attnserve.aio.client import Client


class Session(SessionLengths):
    """As attnserve.Session but for `await`. Confined to the client's event loop;
    one append to a layer at a time."""

    def __init__(self, client: Client, state: SessionState, is_owned: bool) -> None:
        super().__init__(state)
        self._client = client
        self._is_owned = is_owned

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        """Deletes the session if this object made it."""
        if not self._is_owned:
            return
        try:
            await self.delete()
        except NotFoundError:
            pass  # Deleted or expired meanwhile: what was wanted.
        except Exception:
            if error is None:  # Else the first error is the one to see.
                raise

    async def attend(self, query: Array, key: Array | None = None, value: Array | None = None, *,
                     layer: int = 0, **options: Unpack[SessionAttendOptions]) -> AttendResponse:
        """As attnserve.Session.attend."""
        fields, call = calls.split_options(options)
        response = await self._client._run(
            calls.attend(self.request(query, key, value, layer=layer, **fields)), call)
        if key is not None:
            self.applied(layer, response.session_length)
        return response

    async def append(self, key: Array, value: Array, *, layer: int = 0,
                     expected_length: int | Literal["known"] | None = "known", layout: Layout | None = None,
                     rope: Rope | None = None, **options: Unpack[CallOptions]) -> int:
        """As attnserve.Session.append."""
        length = await self._client._run(
            self._append_call(key, value, layer, expected_length, layout, rope), options)
        self.applied(layer, length)
        return length

    async def fork(self, session_id: str = "", *, length: int | None = None,
                   **options: Unpack[CallOptions]) -> Session:
        """As attnserve.Session.fork."""
        call = calls.fork_session(self.session_id, session_id, length)
        return Session(self._client, await self._client._run(call, options), is_owned=True)

    async def truncate(self, length: int, *, layer: int | None = None,
                       **options: Unpack[CallOptions]) -> SessionState:
        """As attnserve.Session.truncate."""
        call = calls.truncate_session(self.session_id, length, layer)
        return self._refreshed(await self._client._run(call, options))

    async def refresh(self, **options: Unpack[CallOptions]) -> SessionState:
        """As attnserve.Session.refresh."""
        return self._refreshed(await self._client._run(calls.get_session(self.session_id), options))

    async def delete(self, **options: Unpack[CallOptions]) -> None:
        """As attnserve.Session.delete."""
        await self._client._run(calls.delete_session(self.session_id), options)

    async def export(self, file: BinaryIO, **options: Unpack[CallOptions]) -> int:
        """As attnserve.Session.export; writes to `file` block the event loop."""
        written = 0
        call = calls.export_session(self.session_id)
        async with aclosing(self._client._replies("unary_stream", call, options)) as pieces:
            async for data in pieces:
                file.write(data)
                written += len(data)
        return written
