"""What Layer and aio.Layer have in common: arrays with any leading axes, and what
a session's length makes harmless to repeat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from attnserve._session_lengths import SessionLengths
from attnserve._tensor import Array, dtype_name
from attnserve.forward import ForwardRequest, ForwardResponse


@dataclass(frozen=True)
class LayerPass:
    """One call of a layer: what is sent, and what to do with the answer."""

    request: ForwardRequest
    lead: tuple[int, ...]
    session: SessionLengths | None

    @classmethod
    def of(cls, layer: str, hidden: Array, context: Array | None, session: SessionLengths | None,
           session_layer: int, options: dict[str, Any]) -> LayerPass:
        """Raises TypeError, ValueError."""
        lead = _leading_axes("hidden", hidden)
        if context is not None and _leading_axes("context", context) != lead:
            raise ValueError(f"context must have hidden's leading axes {list(lead)}; got shape {list(context.shape)}")
        if session is not None:
            options = {"expected_length": session.length(session_layer), **options,
                       "session_id": session.session_id, "session_layer": session_layer}
        request = ForwardRequest(layer, _flat(hidden), None if context is None else _flat(context), **options)
        return cls(request, lead, session)

    def finish(self, response: ForwardResponse) -> Array:
        """The output [*lead, q_len, output_dim]; the session knows its length."""
        if self.session is not None:
            self.session.applied(self.request.session_layer, response.session_length)
        return response.output.reshape((*self.lead, *response.output.shape[1:]))


def _leading_axes(field: str, array: Array) -> tuple[int, ...]:
    dtype_name(field, array)  # It has a shape.
    if array.ndim < 2:
        raise ValueError(f"{field} must be [..., tokens, hidden_dim]; got shape {list(array.shape)}")
    return tuple(array.shape[:-2])


def _flat(array: Array) -> Array:
    return array.reshape((math.prod(array.shape[:-2]), *array.shape[-2:]))
