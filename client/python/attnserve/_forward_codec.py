"""Between the values of forward.py and the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from attnserve import _contract as pb
from attnserve._attend_codec import decode_fields, fill_output
from attnserve._fields import INTEGER, extend_field, session_ref, set_field, text
from attnserve._tensor import Kind, encode
from attnserve._wire import WireError, WireMessage, cut_fields, repeated_field
from attnserve.errors import from_item
from attnserve.forward import ForwardRequest, ForwardResponse, ForwardResult, LayerSpec, WeightFormat
from attnserve.request import Causal

# Field numbers of attn.v1.ForwardRequest that are sent from where they lie.
_TENSORS = {"hidden": 3, "context": 4, "attn_mask": 5}
_RESPONSE = 2  # Of ForwardResult.
_REQUESTS, _RESULTS = 1, 1  # Of ForwardBatchRequest and ForwardBatchResponse.


def encode_request(request: ForwardRequest) -> WireMessage:
    """attn.v1.ForwardRequest. Raises TypeError, ValueError, ImportError for what
    the contract or this machine cannot say, RuntimeError for gradients."""
    if request.hidden is None:
        raise TypeError("hidden is required; got None")
    Kind(request.hidden).check(request.output_dtype or "f32")
    message = WireMessage(_small_fields(request).SerializeToString())
    for name, number in _TENSORS.items():
        array = getattr(request, name)
        if array is not None:
            message.append_field(number, encode(name, array))
    return message


def encode_batch(requests: Sequence[ForwardRequest]) -> WireMessage:
    """attn.v1.ForwardBatchRequest. Raises as encode_request."""
    message = WireMessage()
    for request in requests:
        message.append_field(_REQUESTS, encode_request(request))
    return message


def is_idempotent(request: ForwardRequest) -> bool:
    """Whether a repetition is harmless: a session needs an expected length."""
    return not request.session_id or request.expected_length is not None


def decode_response(reply: bytes | memoryview, kind: Kind) -> ForwardResponse:
    """Raises WireError."""
    return ForwardResponse(**decode_fields(reply, kind, pb.ForwardResponse))


def decode_result(reply: bytes | memoryview, kind: Kind) -> ForwardResult:
    """Raises WireError."""
    rest, found = cut_fields(memoryview(reply), {_RESPONSE})
    status = pb.ForwardResult.FromString(rest).status
    response = found.get(_RESPONSE, memoryview(b""))
    if status.code != 0:
        failed = pb.ForwardResponse.FromString(bytes(response))
        return ForwardResult(failed.request_id, error=from_item(status.code, status.message))
    answer = decode_response(response, kind)
    return ForwardResult(answer.request_id, answer)


def decode_batch(reply: bytes, requests: Sequence[ForwardRequest]) -> list[ForwardResult]:
    """In the order of `requests`. Raises WireError."""
    results = repeated_field(memoryview(reply), _RESULTS)
    if len(results) != len(requests):
        raise WireError(f"{len(results)} results for {len(requests)} requests")
    return [decode_result(result, Kind(request.hidden)) for result, request in zip(results, requests)]


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
