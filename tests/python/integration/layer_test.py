"""Layers against a real server with a tiny checkpoint: NumPy's answer, sessions,
batches, errors, loading."""

import asyncio

import numpy as np
import pytest
from checkpoint import HIDDEN, TinyBert
from server import Server

import attnserve
from attnserve import ForwardRequest, errors

# F32 sums of 32 terms, four one after the other; outputs are near 1.
TOLERANCE = 4e-6


@pytest.fixture(scope="module")
def bert():
    return TinyBert()


@pytest.fixture(scope="module")
def layers_address(binary, bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    bert.write(folder / "tiny-bert")
    with Server(binary, "--layers", str(folder), "--layer-loading") as server:
        yield server.address()
        assert server.stop() == 0


@pytest.fixture
def layers_client(layers_address):
    with attnserve.Client(layers_address) as client:
        yield client


def test_layer_is_that_of_plain_numpy(layers_client, bert, tensors):
    hidden, context = tensors((2, 5, HIDDEN), (2, 9, HIDDEN))
    layer = attnserve.Layer("tiny-bert/0", layers_client)
    expected = bert.forward(hidden)
    np.testing.assert_allclose(layer(hidden), expected, atol=TOLERANCE * np.abs(expected).max())
    crossed = bert.forward(hidden, context)
    np.testing.assert_allclose(layer(hidden, context), crossed, atol=TOLERANCE * np.abs(crossed).max())
    np.testing.assert_array_equal(layer(hidden[0]), layer(hidden)[0])


def test_spec_says_what_the_file_has(layers_client):
    spec = layers_client.get_layer("tiny-bert/0")
    assert (spec.model_type, spec.index, spec.hidden_dim, spec.output_dim) == ("bert", 0, HIDDEN, HIDDEN)
    assert (spec.num_q_heads, spec.num_kv_heads, spec.head_dim) == (4, 4, 8)
    assert (spec.causal, spec.window, spec.has_rope, spec.weights) == ("none", 0, False, "f32")
    assert spec.weight_bytes >= 4 * 4 * HIDDEN * HIDDEN


def test_everything_asked_for_comes_back(layers_client, tensors):
    hidden, = tensors((1, 3, HIDDEN))
    response = layers_client.forward("tiny-bert/0", hidden, return_lse=True, weights="probabilities", top_k=2,
                                     output_dtype="f16", causal="top_left", request_id="me")
    assert response.output.dtype == np.float16 and response.request_id == "me"
    assert response.lse.shape == (1, 4, 3) and response.weights.shape == (1, 4, 3, 3)
    assert response.top.indices.shape == (1, 4, 3, 2) and response.top.indices[0, 0, 0, 1] == -1
    assert response.weights[0, 0, 0, 1] == 0 and response.session_length == 0
    assert response.timing.batch_size >= 1


def test_session_steps_are_the_causal_whole(layers_client, tensors):
    hidden, = tensors((1, 6, HIDDEN))
    layer = attnserve.Layer("tiny-bert/0", layers_client)
    whole = layer(hidden, causal="top_left")
    with layers_client.create_session(num_kv_heads=4, head_dim=8, num_layers=2) as session:
        steps = [layer(hidden[:, at:at + 1], session=session, session_layer=1) for at in range(6)]
        assert (session.length(0), session.length(1)) == (0, 6)
        with pytest.raises(errors.LengthMismatchError):
            layer(hidden, session=session, session_layer=1, expected_length=3)
    np.testing.assert_allclose(np.concatenate(steps, axis=1), whole, atol=TOLERANCE * np.abs(whole).max())


def test_batch_answers_each_for_itself(layers_client, tensors):
    hidden, = tensors((1, 3, HIDDEN))
    results = layers_client.forward_batch([ForwardRequest("tiny-bert/0", hidden, request_id="good"),
                                           ForwardRequest("no/0", hidden, request_id="bad")])
    assert [result.request_id for result in results] == ["good", "bad"]
    np.testing.assert_array_equal(results[0].unwrap().output, layers_client.forward("tiny-bert/0", hidden).output)
    with pytest.raises(errors.NotFoundError):
        results[1].unwrap()


def test_refusals_name_reason_and_field(layers_client, tensors):
    hidden, = tensors((1, 3, HIDDEN + 1))
    with pytest.raises(errors.InvalidArgumentError) as raised:
        layers_client.forward("tiny-bert/0", hidden)
    assert raised.value.field_violations[0].field.startswith("hidden.shape")
    with pytest.raises(errors.NotFoundError) as raised:
        layers_client.forward("tiny-bert/1", hidden)
    assert raised.value.reason == "LAYER_NOT_LOADED"


def test_layers_are_unloaded_and_loaded(layers_client, tensors):
    hidden, = tensors((1, 3, HIDDEN))
    before = layers_client.forward("tiny-bert/0", hidden).output
    layers_client.unload_layer("tiny-bert/0")
    assert list(layers_client.list_layers()) == []
    assert layers_client.load_layer("tiny-bert/0", weights="int8").weights == "int8"
    rounded = layers_client.forward("tiny-bert/0", hidden).output
    assert 0 < np.abs(rounded - before).max() < 0.05 * np.abs(before).max()
    with pytest.raises(errors.AlreadyExistsError):
        layers_client.load_layer("tiny-bert/0")
    layers_client.unload_layer("tiny-bert/0")
    layers_client.load_layer("tiny-bert/0")
    np.testing.assert_array_equal(layers_client.forward("tiny-bert/0", hidden).output, before)


def test_asyncio_answers_the_same(layers_address, layers_client, tensors):
    hidden, = tensors((2, 3, HIDDEN))

    async def main():
        async with attnserve.aio.Client(layers_address) as client:
            layer = attnserve.aio.Layer("tiny-bert/0", client)
            return await asyncio.gather(*(layer(hidden) for _ in range(4)))

    for output in asyncio.run(main()):
        np.testing.assert_array_equal(output, attnserve.Layer("tiny-bert/0", layers_client)(hidden))
