"""Between the values of request.py and response.py and the wire."""

from __future__ import annotations

from typing import Any

from attnserve import _contract as pb
from attnserve._fields import INTEGER, NUMBER, extend_field, fill_rope, session_ref, set_field, text
from attnserve._request_codec import RequestCodec, fill_output
from attnserve.request import AttendRequest
from attnserve.response import AttendResponse, AttendResult


def is_idempotent(request: AttendRequest) -> bool:
    """Whether a repetition is harmless: appends need an expected length."""
    appends = request.key is not None or request.value is not None
    return not request.session_id or not appends or request.expected_length is not None


def _small_fields(request: AttendRequest) -> Any:
    """Everything but the large tensors."""
    message = pb.AttendRequest(layout=pb.enum_number("layout", "Layout", request.layout),
                               priority=pb.enum_number("priority", "Priority", request.priority))
    set_field(message, "request_id", text, request.request_id)
    set_field(message, "num_q_heads", INTEGER, request.num_q_heads)
    set_field(message, "num_kv_heads", INTEGER, request.num_kv_heads)
    extend_field(message, "kv_lengths", INTEGER, request.kv_lengths)
    _fill_params(request, message.params)
    fill_output(request, message.output)
    if request.session_id:
        message.session.CopyFrom(session_ref(request.session_id, request.layer, request.expected_length))
    elif request.layer or request.expected_length is not None:
        raise ValueError("layer and expected_length need a session_id; got none")
    return message


def _fill_params(request: AttendRequest, message: Any) -> None:
    message.causal = pb.enum_number("causal", "CausalMode", request.causal)
    set_field(message, "scale", NUMBER, request.scale)
    for name in ("causal_offset", "left_window", "right_window"):
        set_field(message, name, INTEGER, getattr(request, name))
    set_field(message, "softcap", NUMBER, request.softcap)
    extend_field(message, "alibi_slopes", NUMBER, request.alibi_slopes)
    extend_field(message, "sinks", NUMBER, request.sinks)
    if request.rope is not None:
        message.rope.SetInParent()
        fill_rope(request.rope, message.rope)


ATTEND = RequestCodec(
    {"query": 2, "key": 3, "value": 4, "attn_mask": 8}, _small_fields, is_idempotent,
    AttendResponse, pb.AttendResponse, AttendResult, pb.AttendResult)
