"""Between the values of session_state.py and the messages of attn.v1."""

from __future__ import annotations

import datetime
import math
from typing import Any, cast

from attnserve import _contract as pb
from attnserve._fields import INTEGER, fill_rope, set_field
from attnserve._tensor import Array, encode
from attnserve._wire import WireMessage
from attnserve.request import Layout, Rope
from attnserve.session_state import KvDtype, SessionSpec, SessionState

_KEY, _VALUE = 2, 3  # Field numbers of attn.v1.AppendKvRequest.


def encode_spec(spec: SessionSpec) -> Any:
    """attn.v1.SessionSpec. Raises TypeError, ValueError."""
    message = pb.SessionSpec(kv_dtype=pb.enum_number("kv_dtype", "KvDtype", spec.kv_dtype))
    for name in ("num_layers", "num_kv_heads", "head_dim", "value_head_dim", "max_length", "window"):
        set_field(message, name, INTEGER, getattr(spec, name))
    if spec.idle_ttl is not None:
        if not 0 <= spec.idle_ttl < math.inf:
            raise ValueError(f"idle_ttl must be finite and not negative; got {spec.idle_ttl}")
        fraction, whole = math.modf(spec.idle_ttl)
        set_field(message.idle_ttl, "seconds", int, whole, "idle_ttl.")
        message.idle_ttl.nanos = int(fraction * 1e9)
    return message


def encode_append(reference: Any, key: Array, value: Array, layout: Layout | None, rope: Rope | None) -> bytes:
    """attn.v1.AppendKvRequest. Raises TypeError, ValueError, RuntimeError."""
    small = pb.AppendKvRequest(session=reference, layout=pb.enum_number("layout", "Layout", layout))
    if rope is not None:
        small.rope.SetInParent()
        fill_rope(rope, small.rope)
    message = WireMessage(small.SerializeToString())
    message.append_field(_KEY, encode("key", key))
    message.append_field(_VALUE, encode("value", value))
    return message.to_bytes()


def decode_session(reply: bytes) -> SessionState:
    return session_state(pb.Session.FromString(reply))


def decode_page(reply: bytes) -> tuple[list[SessionState], str]:
    """The sessions of a page and the token of the next one, "" after the last."""
    message = pb.ListSessionsResponse.FromString(reply)
    return [session_state(session) for session in message.sessions], message.next_page_token


def session_state(message: Any) -> SessionState:
    spec = message.spec
    ttl = spec.idle_ttl.seconds + spec.idle_ttl.nanos / 1e9 if spec.HasField("idle_ttl") else None
    return SessionState(
        session_id=message.session_id,
        spec=SessionSpec(spec.num_layers, spec.num_kv_heads, spec.head_dim, spec.value_head_dim,
                         cast(KvDtype, pb.enum_name("KvDtype", spec.kv_dtype)) if spec.kv_dtype else None,
                         spec.max_length, spec.window, ttl),
        layer_lengths=tuple(message.layer_lengths), kv_bytes=message.kv_bytes,
        shared_kv_bytes=message.shared_kv_bytes,
        created_at=_time(message.created_at), last_used_at=_time(message.last_used_at))


def _time(message: Any) -> datetime.datetime:
    epoch = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
    return epoch + datetime.timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


