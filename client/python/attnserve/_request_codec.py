"""Requests and answers, to the wire and back: what attention and layers have in
common, whose messages have the same fields under the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from attnserve import _contract as pb
from attnserve._fields import INTEGER, flag, set_field
from attnserve._tensor import Kind, encode
from attnserve._wire import WireError, WireMessage, cut_fields, repeated_field
from attnserve.errors import from_item
from attnserve.forward import ForwardRequest
from attnserve.request import AttendRequest
from attnserve.response import AnyResponse, Result, Timing, TopWeights

_OUTPUT, _LSE, _WEIGHTS, _TOP = 2, 3, 4, 5  # Of a response.
_INDICES, _PROBABILITIES = 1, 2  # Of TopWeights.
_RESPONSE = 2  # Of a result.
_REQUESTS, _RESULTS = 1, 1  # Of a batch and of what answers it.

AnyRequest = TypeVar("AnyRequest", AttendRequest, ForwardRequest)
AnyResult = TypeVar("AnyResult", bound=Result[Any])


@dataclass(frozen=True)
class RequestCodec(Generic[AnyRequest, AnyResponse, AnyResult]):
    """Of one kind of request."""

    tensors: dict[str, int]
    """Field numbers of what is sent from where it lies. The first one is required, and
    answers are of its library."""
    small_fields: Callable[[AnyRequest], Any]
    """The message of everything but these."""
    is_idempotent: Callable[[AnyRequest], bool]
    """Whether a repetition is harmless."""
    response: type[AnyResponse]
    response_message: Any
    result: type[AnyResult]
    result_message: Any

    @property
    def first(self) -> str:
        return next(iter(self.tensors))

    def kind(self, request: AnyRequest) -> Kind:
        """Of the answer's arrays."""
        return Kind(getattr(request, self.first))

    def encode_request(self, request: AnyRequest) -> WireMessage:
        """Raises TypeError, ValueError, ImportError for what the contract or this
        machine cannot say, RuntimeError for gradients."""
        if getattr(request, self.first) is None:
            raise TypeError(f"{self.first} is required; got None")
        self.kind(request).check(request.output_dtype or "f32")
        message = WireMessage(self.small_fields(request).SerializeToString())
        for name, number in self.tensors.items():
            array = getattr(request, name)
            if array is not None:
                message.append_field(number, encode(name, array))
        return message

    def encode_batch(self, requests: Sequence[AnyRequest]) -> WireMessage:
        """Raises as encode_request."""
        message = WireMessage()
        for request in requests:
            message.append_field(_REQUESTS, self.encode_request(request))
        return message

    def decode_response(self, reply: bytes | memoryview, kind: Kind) -> AnyResponse:
        """Raises WireError."""
        rest, tensors = cut_fields(memoryview(reply), {_OUTPUT, _LSE, _WEIGHTS, _TOP})
        if _OUTPUT not in tensors:
            raise WireError("a response without output")
        small = self.response_message.FromString(rest)
        found = {number: kind.decode(tensors[number]) for number in (_OUTPUT, _LSE, _WEIGHTS) if number in tensors}
        return self.response(
            output=found[_OUTPUT], lse=found.get(_LSE), weights=found.get(_WEIGHTS),
            top=_decode_top(tensors[_TOP], kind) if _TOP in tensors else None,
            session_length=small.session_length, timing=_decode_timing(small.timing), request_id=small.request_id)

    def decode_result(self, reply: bytes | memoryview, kind: Kind) -> AnyResult:
        """Raises WireError."""
        rest, found = cut_fields(memoryview(reply), {_RESPONSE})
        status = self.result_message.FromString(rest).status
        response = found.get(_RESPONSE, memoryview(b""))
        if status.code != 0:
            failed = self.response_message.FromString(bytes(response))
            return self.result(failed.request_id, error=from_item(status.code, status.message))
        answer = self.decode_response(response, kind)
        return self.result(answer.request_id, answer)

    def decode_batch(self, reply: bytes, requests: Sequence[AnyRequest]) -> list[AnyResult]:
        """In the order of `requests`. Raises WireError."""
        results = repeated_field(memoryview(reply), _RESULTS)
        if len(results) != len(requests):
            raise WireError(f"{len(results)} results for {len(requests)} requests")
        return [self.decode_result(result, self.kind(request)) for result, request in zip(results, requests)]


def fill_output(request: AttendRequest | ForwardRequest, message: Any) -> None:
    """attn.v1.OutputOptions."""
    message.dtype = pb.enum_number("output_dtype", "DataType", request.output_dtype)
    message.weights = pb.enum_number("weights", "WeightsMode", request.weights)
    set_field(message, "return_lse", flag, request.return_lse)
    set_field(message, "top_k", INTEGER, request.top_k)


def _decode_top(message: memoryview, kind: Kind) -> TopWeights:
    _, found = cut_fields(message, {_INDICES, _PROBABILITIES})
    if len(found) != 2:
        raise WireError("top without indices or probabilities")
    return TopWeights(kind.decode(found[_INDICES]), kind.decode(found[_PROBABILITIES]))


def _decode_timing(message: Any) -> Timing:
    return Timing(queue_seconds=message.queue_ns / 1e9, compute_seconds=message.compute_ns / 1e9,
                  total_seconds=message.total_ns / 1e9, batch_size=message.batch_size)
