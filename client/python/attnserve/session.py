"""Sessions: keys and values that stay on the server."""

from __future__ import annotations

from contextlib import closing
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

    from attnserve.client import Client


class Session(SessionLengths):
    """A KV-cache session of a Client. Made by its create_session, open_session
    and import_session, and by `fork`.

    It knows the length of each layer from its own calls and sends it along as
    expected_length, so that its appends are retried and never doubled. Where
    others append to the same session, a call raises LengthMismatchError; go on
    after `refresh`. Thread-compatible: one append to a layer at a time.
    """

    def __init__(self, client: Client, state: SessionState, is_owned: bool) -> None:
        super().__init__(state)
        self._client = client
        self._is_owned = is_owned

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Deletes the session if this object made it."""
        if not self._is_owned:
            return
        try:
            self.delete()
        except NotFoundError:
            pass  # Deleted or expired meanwhile: what was wanted.
        except Exception:
            if error is None:  # Else the first error is the one to see.
                raise

    def attend(self, query: Array, key: Array | None = None, value: Array | None = None, *, layer: int = 0,
               **options: Unpack[SessionAttendOptions]) -> AttendResponse:
        """Appends key [1, num_kv_heads, tokens, head_dim] and value [1, num_kv_heads,
        tokens, value_head_dim] to the layer, if given, and attends to all of it.

        A prompt of many rows needs causal="top_left", a step of one row nothing.
        Options and errors as those of Client.attend and `append`.
        """
        fields, call = calls.split_options(options)
        response = self._client._run(calls.attend(self.request(query, key, value, layer=layer, **fields)), call)
        if key is not None:
            self.applied(layer, response.session_length)
        return response

    def append(self, key: Array, value: Array, *, layer: int = 0,
               expected_length: int | Literal["known"] | None = "known", layout: Layout | None = None,
               rope: Rope | None = None, **options: Unpack[CallOptions]) -> int:
        """Appends without a query and gives the layer's length. `expected_length`
        None: whatever the length is, and never retried.

        Raises LengthMismatchError, FailedPreconditionError (SPEC_MISMATCH,
        MAX_LENGTH), NotFoundError, ResourceExhaustedError (KV_MEMORY)."""
        length = self._client._run(
            self._append_call(key, value, layer, expected_length, layout, rope), options)
        self.applied(layer, length)
        return length

    def fork(self, session_id: str = "", *, length: int | None = None, **options: Unpack[CallOptions]) -> Session:
        """A session that shares the first `length` tokens of every layer (None: all).
        Raises LengthMismatchError, AlreadyExistsError, NotFoundError."""
        call = calls.fork_session(self.session_id, self._client._fork_id(self.session_id, session_id), length)
        return Session(self._client, self._client._run(call, options), is_owned=True)

    def truncate(self, length: int, *, layer: int | None = None, **options: Unpack[CallOptions]) -> SessionState:
        """Keeps the first `length` tokens of the layer (None: of every layer).
        Raises LengthMismatchError, NotFoundError."""
        return self._refreshed(self._client._run(calls.truncate_session(self.session_id, length, layer), options))

    def refresh(self, **options: Unpack[CallOptions]) -> SessionState:
        """What the server says of the session now; its lengths hold from here on.
        Does not prolong idle_ttl. Raises NotFoundError."""
        return self._refreshed(self._client._run(calls.get_session(self.session_id), options))

    def delete(self, **options: Unpack[CallOptions]) -> None:
        """Frees the session. Raises NotFoundError."""
        self._client._run(calls.delete_session(self.session_id), options)

    def export(self, file: BinaryIO, **options: Unpack[CallOptions]) -> int:
        """Writes a snapshot, a safetensors file, to the binary `file`, and gives
        its bytes. Whole only if this returns. No deadline unless `timeout` is
        given. Raises NotFoundError, and what the file raises."""
        written = 0
        call = calls.export_session(self.session_id)
        with closing(self._client._replies("unary_stream", call, options)) as pieces:
            for data in pieces:
                file.write(data)
                written += len(data)
        return written
