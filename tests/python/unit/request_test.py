"""A request says all that the contract can, and nothing else."""

import dataclasses

import numpy as np
import pytest

import request_options
from attnserve import AttendRequest, Rope
from attnserve import _contract as pb
from attnserve._attend_codec import ATTEND, is_idempotent
from attnserve._calls import CallOptions, ClientAttendOptions
from attnserve._tensor import Kind
from attnserve._wire import WireError

TENSOR = np.arange(8, dtype=np.float32).reshape(1, 1, 2, 4)
# Every option of the contract: as an argument, and as it is sent.
OPTIONS = request_options.OPTIONS | {
    "layout": ("bshd", lambda m: m.layout == 2),
    "num_q_heads": (3, lambda m: m.num_q_heads == 3),
    "num_kv_heads": (3, lambda m: m.num_kv_heads == 3),
    "scale": (0.0, lambda m: m.params.HasField("scale") and m.params.scale == 0),
    "causal": ("bottom_right", lambda m: m.params.causal == 2),
    "causal_offset": (-5, lambda m: m.params.causal_offset == -5),
    "left_window": (0, lambda m: m.params.HasField("left_window")),
    "right_window": (7, lambda m: m.params.right_window == 7),
    "softcap": (2.5, lambda m: m.params.softcap == 2.5),
    "alibi_slopes": (np.array([0.5], np.float32), lambda m: list(m.params.alibi_slopes) == [0.5]),
    "sinks": ([1.0], lambda m: list(m.params.sinks) == [1.0]),
    "output_dtype": ("f64", lambda m: m.output.dtype == 4),
}


def message_of(**options):
    request = AttendRequest(TENSOR, TENSOR, TENSOR, **options)
    return pb.AttendRequest.FromString(ATTEND.encode_request(request).to_bytes())


@pytest.mark.parametrize("name", OPTIONS)
def test_option_is_sent(name):
    value, is_there = OPTIONS[name]
    assert is_there(message_of(**{name: value}))


def test_session_fields_are_sent():
    session = message_of(session_id="s", layer=4, expected_length=0).session
    assert (session.layer, session.HasField("expected_length"), session.expected_length) == (4, True, 0)
    assert not message_of(session_id="s").session.HasField("expected_length")


def test_rope_is_sent():
    table = np.ones((5, 2), np.float32)
    rope = message_of(rope=Rope(base=10, rotary_dim=4, interleaved=True, scaling_factor=2, cos=table, sin=table,
                                positions=[-1, 2], key_positions=range(2))).params.rope
    assert (rope.base, rope.rotary_dim, rope.interleaved, rope.scaling_factor) == (10, 4, True, 2)
    assert (list(rope.positions), list(rope.key_positions)) == ([-1, 2], [0, 1])
    assert list(rope.cos.shape) == [5, 2] and rope.sin.data == table.tobytes()


def test_every_field_of_the_contract_is_an_argument():
    named_otherwise = {"params", "output", "session", "dtype"}
    cpp_alone = {"shared"}  # Shared memory.
    contract = {field.name for message in (pb.AttendRequest, pb.AttentionParams, pb.OutputOptions, pb.SessionRef)
                for field in message.DESCRIPTOR.fields}
    arguments = {field.name for field in dataclasses.fields(AttendRequest)}
    assert contract - named_otherwise - cpp_alone == arguments - {"output_dtype"}
    assert {field.name for field in pb.RopeParams.DESCRIPTOR.fields} == {f.name for f in dataclasses.fields(Rope)}


def test_typed_options_are_those_of_the_request():
    arguments = {field.name for field in dataclasses.fields(AttendRequest)}
    options = set(ClientAttendOptions.__annotations__) - set(CallOptions.__annotations__)
    assert options == arguments - {"query", "key", "value"}


@pytest.mark.parametrize("options, error, words", [
    ({"colour": 1}, TypeError, "colour"),
    ({"layout": "sdhb"}, ValueError, "layout must be one of bhsd, bshd, bse; got 'sdhb'"),
    ({"layout": "unspecified"}, ValueError, "layout must be one of"),
    ({"causal": True}, ValueError, "causal must be one of none, top_left, bottom_right; got True"),
    ({"priority": 3}, ValueError, "priority must be one of"),
    ({"weights": "all"}, ValueError, "weights must be one of"),
    ({"output_dtype": "float32"}, ValueError, "output_dtype must be one of"),
    ({"top_k": -1}, ValueError, "top_k cannot be -1"),
    ({"top_k": 1.5}, TypeError, "top_k cannot be 1.5"),
    ({"left_window": 1 << 63}, ValueError, "left_window cannot be"),
    ({"scale": "big"}, ValueError, "scale cannot be 'big'"),
    ({"return_lse": "no"}, TypeError, "return_lse cannot be 'no'"),
    ({"request_id": 5}, TypeError, "request_id cannot be 5"),
    ({"sinks": 1.0}, TypeError, "sinks cannot be 1.0"),
    ({"kv_lengths": [1.5]}, TypeError, "kv_lengths cannot be"),
    ({"attn_mask": [[True]]}, TypeError, "attn_mask must be a NumPy array"),
    ({"rope": Rope(rotary_dim=-1)}, ValueError, "rope.rotary_dim cannot be -1"),
    ({"rope": Rope(cos=[1.0])}, TypeError, "rope.cos must be"),
    ({"layer": 1}, ValueError, "need a session_id"),
    ({"expected_length": 0}, ValueError, "need a session_id"),
])
def test_wrong_option_is_refused_by_name(options, error, words):
    with pytest.raises(error) as raised:
        message_of(**options)
    assert words in str(raised.value)


def test_tensors_are_refused_by_name():
    with pytest.raises(TypeError, match="value must be one of"):
        ATTEND.encode_request(AttendRequest(TENSOR, TENSOR, TENSOR.astype(np.uint8)))
    with pytest.raises(TypeError, match="query is required"):
        ATTEND.encode_request(AttendRequest(None))


def test_batch_holds_the_requests_in_order():
    requests = [AttendRequest(TENSOR, TENSOR, TENSOR, request_id=name) for name in "ab"]
    message = pb.AttendBatchRequest.FromString(ATTEND.encode_batch(requests).to_bytes())
    assert [item.request_id for item in message.requests] == ["a", "b"]
    assert message.requests[1].value.data == TENSOR.tobytes()


@pytest.mark.parametrize("options, expected", [
    ({"key": TENSOR, "value": TENSOR}, True), ({"session_id": "s"}, True),
    ({"session_id": "s", "key": TENSOR, "value": TENSOR}, False),
    ({"session_id": "s", "value": TENSOR}, False),
    ({"session_id": "s", "key": TENSOR, "value": TENSOR, "expected_length": 0}, True)])
def test_only_appends_without_expected_length_must_not_be_repeated(options, expected):
    assert is_idempotent(AttendRequest(TENSOR, **options)) == expected


def test_batch_reply_with_another_number_of_results_is_refused():
    reply = pb.AttendBatchResponse(results=[pb.AttendResult()]).SerializeToString()
    with pytest.raises(WireError, match="1 results for 2 requests"):
        ATTEND.decode_batch(reply, [AttendRequest(TENSOR)] * 2)


def test_response_without_output_is_refused():
    empty = pb.AttendResult(response=pb.AttendResponse(request_id="x"))
    with pytest.raises(WireError, match="without output"):
        ATTEND.decode_result(empty.SerializeToString(), Kind(TENSOR))


def test_failed_item_carries_its_id_and_error():
    item = pb.AttendResult(response=pb.AttendResponse(request_id="x"))
    item.status.code, item.status.message = 3, "no"
    result = ATTEND.decode_result(item.SerializeToString(), Kind(TENSOR))
    assert (result.request_id, result.response, result.error.message) == ("x", None, "no")
    with pytest.raises(ValueError):
        result.unwrap()
