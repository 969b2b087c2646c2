"""Between the values of forward.py and the wire."""

from __future__ import annotations

from typing import Any, cast

from attnserve import _contract as pb
from attnserve._fields import INTEGER, extend_field, session_ref, set_field, text
from attnserve._request_codec import RequestCodec, fill_output
from attnserve.forward import ForwardRequest, ForwardResponse, ForwardResult, LayerSpec, WeightFormat
from attnserve.request import Causal


def is_idempotent(request: ForwardRequest) -> bool:
    """Whether a repetition is harmless: a session needs an expected length."""
    return not request.session_id or request.expected_length is not None


def decode_layer(reply: bytes) -> LayerSpec:
    return layer_spec(pb.Layer.FromString(reply))


def decode_layer_page(reply: bytes) -> tuple[list[LayerSpec], str]:
    """The layers of a page and the token of the next one, "" after the last."""
    message = pb.ListLayersResponse.FromString(reply)
    return [layer_spec(layer) for layer in message.layers], message.next_page_token


def layer_spec(message: Any) -> LayerSpec:
    weights = cast(WeightFormat, pb.enum_name("WeightFormat", message.weights)) if message.weights else None
    return LayerSpec(
        name=message.name, model_type=message.model_type, index=message.index, hidden_dim=message.hidden_dim,
        output_dim=message.output_dim, num_q_heads=message.num_q_heads, num_kv_heads=message.num_kv_heads,
        head_dim=message.head_dim, causal=cast(Causal, pb.enum_name("CausalMode", message.causal)),
        window=message.window, has_rope=message.has_rope, weights=weights, weight_bytes=message.weight_bytes)


def _small_fields(request: ForwardRequest) -> Any:
    """Everything but the tensors."""
    message = pb.ForwardRequest(priority=pb.enum_number("priority", "Priority", request.priority))
    set_field(message, "request_id", text, request.request_id)
    set_field(message, "layer", text, request.layer)
    extend_field(message, "kv_lengths", INTEGER, request.kv_lengths)
    if request.causal is not None:
        message.causal = pb.enum_number("causal", "CausalMode", request.causal)
    set_field(message, "causal_offset", INTEGER, request.causal_offset)
    extend_field(message, "positions", INTEGER, request.positions)
    fill_output(request, message.output)
    if request.session_id:
        message.session.CopyFrom(
            session_ref(request.session_id, request.session_layer, request.expected_length, "session_"))
    elif request.session_layer or request.expected_length is not None:
        raise ValueError("session_layer and expected_length need a session_id; got none")
    return message


FORWARD = RequestCodec(
    {"hidden": 3, "context": 4, "attn_mask": 5}, _small_fields, is_idempotent,
    ForwardResponse, pb.ForwardResponse, ForwardResult, pb.ForwardResult)
