"""Fields of messages, set from Python values. Wrong ones are named."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from attnserve import _contract as pb
from attnserve._tensor import small_message
from attnserve.request import Rope

# They refuse what is of another kind.
INTEGER: Callable[[Any], int] = operator.index
NUMBER: Callable[[Any], float] = float


def flag(value: Any) -> bool:
    """Raises TypeError for what is only true or false in a way."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError("a bool is needed")
    return bool(value)


def text(value: Any) -> Any:
    """protobuf refuses what is none."""
    return value


def set_field(message: Any, name: str, convert: Callable[[Any], Any], value: Any, prefix: str = "") -> None:
    """message.name = value, unless it is None. Raises TypeError or ValueError
    with the field's name for a value that is no number or out of range."""
    if value is None:
        return
    try:
        setattr(message, name, convert(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise _named(prefix + name, error, value) from None


def extend_field(message: Any, name: str, convert: Callable[[Any], Any], values: Iterable[Any],
                 prefix: str = "") -> None:
    """The same for a repeated field."""
    try:
        getattr(message, name).extend([convert(value) for value in values])
    except (TypeError, ValueError, OverflowError) as error:
        raise _named(prefix + name, error, values) from None


def _named(field: str, error: Exception, value: Any) -> Exception:
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{field} cannot be {value!r}: {error}")


def fill_rope(rope: Rope, message: Any) -> None:
    """attn.v1.RopeParams."""
    prefix = "rope."
    set_field(message, "base", NUMBER, rope.base, prefix)
    set_field(message, "rotary_dim", INTEGER, rope.rotary_dim, prefix)
    set_field(message, "interleaved", flag, rope.interleaved, prefix)
    set_field(message, "scaling_factor", NUMBER, rope.scaling_factor, prefix)
    extend_field(message, "positions", INTEGER, rope.positions, prefix)
    extend_field(message, "key_positions", INTEGER, rope.key_positions, prefix)
    for name, table in (("cos", rope.cos), ("sin", rope.sin)):
        if table is not None:
            getattr(message, name).CopyFrom(small_message(prefix + name, table))


def session_ref(session_id: str, layer: int, expected_length: int | None, prefix: str = "") -> Any:
    """attn.v1.SessionRef. `prefix`: what the caller puts before "layer"."""
    message = pb.SessionRef(session_id=session_id)
    set_field(message, "layer", INTEGER, layer, prefix)
    set_field(message, "expected_length", INTEGER, expected_length)
    return message
