"""Between the values of request.py and response.py and the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attnserve import _contract as pb
from attnserve._fields import INTEGER, NUMBER, extend_field, fill_rope, flag, session_ref, set_field, text
from attnserve._tensor import Kind, encode
from attnserve._wire import WireError, WireMessage, cut_fields, repeated_field
from attnserve.errors import from_item
from attnserve.request import AttendRequest
from attnserve.response import AttendResponse, AttendResult, Timing, TopWeights

# Field numbers of attn.v1.AttendRequest that are sent from where they lie.
_TENSORS = {"query": 2, "key": 3, "value": 4, "attn_mask": 8}
_OUTPUT, _LSE, _WEIGHTS, _TOP = 2, 3, 4, 5  # Of AttendResponse and ForwardResponse.
_INDICES, _PROBABILITIES = 1, 2  # Of TopWeights.
_RESPONSE = 2  # Of AttendResult.
_REQUESTS, _RESULTS = 1, 1  # Of AttendBatchRequest and AttendBatchResponse.


def encode_request(request: AttendRequest) -> WireMessage:
    """attn.v1.AttendRequest. Raises TypeError, ValueError, ImportError for what
    the contract or this machine cannot say, RuntimeError for gradients."""
    if request.query is None:
        raise TypeError("query is required; got None")
    Kind(request.query).check(request.output_dtype or "f32")
    message = WireMessage(_small_fields(request).SerializeToString())
    for name, number in _TENSORS.items():
        array = getattr(request, name)
        if array is not None:
            message.append_field(number, encode(name, array))
    return message


def encode_batch(requests: Sequence[AttendRequest]) -> WireMessage:
    """attn.v1.AttendBatchRequest. Raises as encode_request."""
    message = WireMessage()
    for request in requests:
        message.append_field(_REQUESTS, encode_request(request))
    return message


def is_idempotent(request: AttendRequest) -> bool:
    """Whether a repetition is harmless: appends need an expected length."""
    appends = request.key is not None or request.value is not None
    return not request.session_id or not appends or request.expected_length is not None


def decode_response(reply: bytes | memoryview, kind: Kind) -> AttendResponse:
    """Raises WireError."""
    return AttendResponse(**decode_fields(reply, kind, pb.AttendResponse))


def decode_fields(reply: bytes | memoryview, kind: Kind, message: Any) -> dict[str, Any]:
    """AttendResponse's fields, of a `message` that has them under the same numbers. Raises WireError."""
    rest, tensors = cut_fields(memoryview(reply), {_OUTPUT, _LSE, _WEIGHTS, _TOP})
    if _OUTPUT not in tensors:
        raise WireError("a response without output")
    small = message.FromString(rest)
    found = {number: kind.decode(tensors[number]) for number in (_OUTPUT, _LSE, _WEIGHTS) if number in tensors}
    return {"output": found[_OUTPUT], "lse": found.get(_LSE), "weights": found.get(_WEIGHTS),
            "top": _decode_top(tensors[_TOP], kind) if _TOP in tensors else None,
            "session_length": small.session_length, "timing": _decode_timing(small.timing),
            "request_id": small.request_id}


def fill_output(request: Any, message: Any) -> None:
    """attn.v1.OutputOptions, of an AttendRequest or ForwardRequest."""
    message.dtype = pb.enum_number("output_dtype", "DataType", request.output_dtype)
    message.weights = pb.enum_number("weights", "WeightsMode", request.weights)
    set_field(message, "return_lse", flag, request.return_lse)
    set_field(message, "top_k", INTEGER, request.top_k)


def decode_result(reply: bytes | memoryview, kind: Kind) -> AttendResult:
    """Raises WireError."""
    rest, found = cut_fields(memoryview(reply), {_RESPONSE})
    status = pb.AttendResult.FromString(rest).status
    response = found.get(_RESPONSE, memoryview(b""))
    if status.code != 0:
        failed = pb.AttendResponse.FromString(bytes(response))
        return AttendResult(failed.request_id, error=from_item(status.code, status.message))
    answer = decode_response(response, kind)
    return AttendResult(answer.request_id, answer)


def decode_batch(reply: bytes, requests: Sequence[AttendRequest]) -> list[AttendResult]:
    """In the order of `requests`. Raises WireError."""
    results = repeated_field(memoryview(reply), _RESULTS)
    if len(results) != len(requests):
        raise WireError(f"{len(results)} results for {len(requests)} requests")
    return [decode_result(result, Kind(request.query)) for result, request in zip(results, requests)]


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


def _decode_top(message: memoryview, kind: Kind) -> TopWeights:
    _, found = cut_fields(message, {_INDICES, _PROBABILITIES})
    if len(found) != 2:
        raise WireError("top without indices or probabilities")
    return TopWeights(kind.decode(found[_INDICES]), kind.decode(found[_PROBABILITIES]))


def _decode_timing(message: Any) -> Timing:
    return Timing(queue_seconds=message.queue_ns / 1e9, compute_seconds=message.compute_ns / 1e9,
                  total_seconds=message.total_ns / 1e9, batch_size=message.batch_size)
