"""What Session and aio.Session have in common: the id and the lengths of the
layers, by which appends are made harmless to repeat."""

from __future__ import annotations

from typing import Any, Literal

from attnserve import _calls as calls
from attnserve._fields import session_ref
from attnserve._tensor import Array
from attnserve.request import AttendRequest, Layout, Rope
from attnserve.session_state import SessionSpec, SessionState


class SessionLengths:
    """Thread-compatible: one append to a layer at a time."""

    def __init__(self, state: SessionState) -> None:
        self._id = state.session_id
        self._spec = state.spec
        self._lengths = list(state.layer_lengths)

    @property
    def session_id(self) -> str:
        return self._id

    @property
    def spec(self) -> SessionSpec:
        return self._spec

    def length(self, layer: int = 0) -> int:
        """Tokens in the layer as far as this object knows: what its own calls
        left. Raises ValueError for a layer that the session does not have."""
        if not 0 <= layer < len(self._lengths):
            raise ValueError(f"layer must be 0..{len(self._lengths) - 1}; got {layer}")
        return self._lengths[layer]

    def request(self, query: Array, key: Array | None = None, value: Array | None = None, *, layer: int = 0,
                **options: Any) -> AttendRequest:
        """What `attend` sends, for attend_batch and attend_stream; report the
        session_length of its response to `applied`."""
        length = self.length(layer)
        if key is not None or value is not None:
            options.setdefault("expected_length", length)
        return AttendRequest(query, key, value, session_id=self._id, layer=layer, **options)

    def applied(self, layer: int, session_length: int) -> None:
        """The layer has that length now."""
        self._lengths[layer] = session_length

    def _append_call(self, key: Array, value: Array, layer: int, expected_length: int | Literal["known"] | None,
                     layout: Layout | None, rope: Rope | None) -> calls.Call[int]:
        known = self.length(layer)
        reference = session_ref(self._id, layer, known if expected_length == "known" else expected_length)
        return calls.append_kv(reference, key, value, layout, rope)

    def _refreshed(self, state: SessionState) -> SessionState:
        self._lengths = list(state.layer_lengths)
        return state
