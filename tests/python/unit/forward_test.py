"""A ForwardRequest says all that the contract can, and what comes back is read."""

import dataclasses

import numpy as np
import pytest

import request_options
from attnserve import ForwardRequest, LayerSpec
from attnserve import _contract as pb
from attnserve._calls import CallOptions
from attnserve._forward_codec import FORWARD, decode_layer, is_idempotent
from attnserve._layer_calls import ClientForwardOptions
from attnserve._layer_pass import LayerPass
from attnserve._tensor import Kind, encode
from attnserve.forward import ForwardResponse

HIDDEN = np.arange(8, dtype=np.float32).reshape(1, 2, 4)
# Every option of the contract: as an argument, and as it is sent.
OPTIONS = request_options.OPTIONS | {
    "context": (HIDDEN[:, :1], lambda m: m.context.data == HIDDEN[:, :1].tobytes()),
    "causal": ("bottom_right", lambda m: m.causal == 2),
    "causal_offset": (-5, lambda m: m.causal_offset == -5),
    "positions": (range(3, 5), lambda m: list(m.positions) == [3, 4]),
    "output_dtype": ("bf16", lambda m: m.output.dtype == 3),
}


def message_of(hidden=HIDDEN, **options):
    pytest.importorskip("ml_dtypes") if options.get("output_dtype") == "bf16" else None
    return pb.ForwardRequest.FromString(FORWARD.encode_request(ForwardRequest("m/0", hidden, **options)).to_bytes())


def response(output=HIDDEN, **fields):
    return pb.ForwardResponse(output=pb.Tensor.FromString(encode("output", output).to_bytes()), **fields)


@pytest.mark.parametrize("name", OPTIONS)
def test_option_is_sent(name):
    value, is_there = OPTIONS[name]
    message = message_of(**{name: value})
    assert is_there(message)
    assert (message.layer, message.hidden.data, list(message.hidden.shape)) == ("m/0", HIDDEN.tobytes(), [1, 2, 4])


def test_no_causal_is_the_layers_own_and_none_is_said():
    assert not message_of().HasField("causal")
    assert message_of(causal="none").HasField("causal")


def test_session_fields_are_sent():
    session = message_of(session_id="s", session_layer=4, expected_length=0).session
    assert (session.layer, session.HasField("expected_length"), session.expected_length) == (4, True, 0)
    assert not message_of(session_id="s").session.HasField("expected_length")


def test_every_field_of_the_contract_is_an_argument():
    contract = {field.name for message in (pb.ForwardRequest, pb.OutputOptions) for field in message.DESCRIPTOR.fields}
    arguments = {field.name for field in dataclasses.fields(ForwardRequest)}
    # `shared` is refused by the server for a forward.
    assert contract - {"output", "session", "dtype", "shared"} == \
        arguments - {"output_dtype", "session_id", "session_layer", "expected_length"}
    assert {field.name for field in pb.Layer.DESCRIPTOR.fields} == {f.name for f in dataclasses.fields(LayerSpec)}
    assert {field.name for field in pb.ForwardResponse.DESCRIPTOR.fields} == \
        {field.name for field in dataclasses.fields(ForwardResponse)}


def test_typed_options_are_those_of_the_request():
    arguments = {field.name for field in dataclasses.fields(ForwardRequest)}
    options = set(ClientForwardOptions.__annotations__) - set(CallOptions.__annotations__)
    assert options == arguments - {"layer", "hidden", "context"}


@pytest.mark.parametrize("options, error, words", [
    ({"causal": True}, ValueError, "causal must be one of none, top_left, bottom_right; got True"),
    ({"positions": [1.5]}, TypeError, "positions cannot be [1.5]"),
    ({"context": [1.0]}, TypeError, "context must be a NumPy array"),
    ({"session_layer": 1}, ValueError, "need a session_id"),
    ({"expected_length": 0}, ValueError, "need a session_id"),
    ({"session_id": "s", "session_layer": -1}, ValueError, "session_layer cannot be -1"),
    ({"hidden": None}, TypeError, "hidden is required"),
    ({"output_dtype": "float32"}, ValueError, "output_dtype must be one of"),
])
def test_wrong_option_is_refused_by_name(options, error, words):
    with pytest.raises(error) as raised:
        message_of(**options)
    assert words in str(raised.value)


def test_batch_holds_the_requests_in_order():
    requests = [ForwardRequest(name, HIDDEN) for name in ("m/0", "m/1")]
    message = pb.ForwardBatchRequest.FromString(FORWARD.encode_batch(requests).to_bytes())
    assert [item.layer for item in message.requests] == ["m/0", "m/1"]
    assert message.requests[1].hidden.data == HIDDEN.tobytes()


@pytest.mark.parametrize("options, expected", [
    ({}, True), ({"session_id": "s"}, False), ({"session_id": "s", "expected_length": 0}, True)])
def test_session_without_expected_length_must_not_be_repeated(options, expected):
    assert is_idempotent(ForwardRequest("m/0", HIDDEN, **options)) == expected


def test_response_is_read():
    lse = np.ones((1, 2, 2), np.float32)
    message = response(lse=pb.Tensor.FromString(encode("lse", lse).to_bytes()), session_length=7, request_id="me",
                       timing={"batch_size": 3, "total_ns": 5})
    found = FORWARD.decode_response(message.SerializeToString(), Kind(HIDDEN))
    assert isinstance(found, ForwardResponse)
    np.testing.assert_array_equal(found.output, HIDDEN)
    np.testing.assert_array_equal(found.lse, lse)
    assert (found.session_length, found.request_id, found.timing.batch_size) == (7, "me", 3)
    assert (found.weights, found.top) == (None, None)


def test_failed_item_carries_its_id_and_error():
    item = pb.ForwardResult(response=pb.ForwardResponse(request_id="x"))
    item.status.code, item.status.message = 5, "no such layer"
    result = FORWARD.decode_result(item.SerializeToString(), Kind(HIDDEN))
    assert (result.request_id, result.response, result.error.message) == ("x", None, "no such layer")
    with pytest.raises(LookupError):
        result.unwrap()


def test_layer_is_read():
    message = pb.Layer(name="m/3", model_type="llama", index=3, hidden_dim=8, output_dim=9, num_q_heads=4,
                       num_kv_heads=2, head_dim=5, causal=1, window=6, has_rope=True, weights=4, weight_bytes=77)
    assert decode_layer(message.SerializeToString()) == LayerSpec(
        "m/3", "llama", 3, 8, 9, 4, 2, 5, "top_left", 6, True, "int8", 77)


@pytest.mark.parametrize("shape", [(2, 4), (1, 2, 4), (3, 5, 2, 4)])
def test_leading_axes_are_one_batch_and_come_back(shape):
    hidden = np.zeros(shape, np.float32)
    work = LayerPass.of("m/0", hidden, hidden[..., :1, :], None, 0, {})
    batch = int(np.prod(shape[:-2]))
    assert work.request.hidden.shape == (batch, 2, 4) and work.request.context.shape == (batch, 1, 4)
    assert work.finish(ForwardResponse(np.zeros((batch, 2, 6)))).shape == (*shape[:-1], 6)


@pytest.mark.parametrize("hidden, context, error, words", [
    (np.zeros(4), None, ValueError, r"hidden must be \[..., tokens, hidden_dim\]; got shape \[4\]"),
    ([[1.0]], None, TypeError, "hidden must be a NumPy array"),
    (np.zeros((3, 2, 4)), np.zeros((2, 2, 4)), ValueError, r"hidden's leading axes \[3\]; got shape \[2, 2, 4\]")])
def test_arrays_that_make_no_batch_are_refused(hidden, context, error, words):
    with pytest.raises(error, match=words):
        LayerPass.of("m/0", hidden, context, None, 0, {})
