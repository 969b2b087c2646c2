"""Attention layers of every family, in files that transformers wrote, served and
compared with transformers' own modules."""


import numpy as np
import pytest
from layer_families import FAMILIES, HIDDEN, LAYERS, Reference, make_model, save
from server import Server

import attnserve

TOKENS = 24
# F32 arithmetic on f32 weights, one sum after the other: over hidden_dim for the
# projections and the scores, over the keys, over the heads (at most 6 of 20). Each
# term adds at most one rounding; the largest error measured is 5.4e-7.
TOLERANCE = (2 * HIDDEN + TOKENS + 120) * 2.0 ** -24
ROUNDING = {"float32": 0.0, "float16": 2.0 ** -11, "bfloat16": 2.0 ** -8}


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """folder -> Reference; the files are in references["folder"]."""
    folder = tmp_path_factory.mktemp("layers")
    found = {}
    for name, family in FAMILIES.items():
        model = make_model(family)
        save(model, folder / name)
        found[name] = Reference(family, model)
    return folder, found


@pytest.fixture(scope="module")
def layers_client(binary, references):
    with Server(binary, "--layers", str(references[0])) as server:
        with attnserve.Client(server.address()) as client:
            yield client
        assert server.stop() == 0


def hidden_states(batch, tokens=TOKENS):
    return np.random.default_rng(8).standard_normal((batch, tokens, HIDDEN), np.float32)


def assert_near(found, expected, tolerance=TOLERANCE):
    scale = np.abs(expected).max()
    difference = np.abs(np.asarray(found, np.float64) - expected).max()
    assert difference <= tolerance * scale, f"{difference / scale:.3g} of the largest, more than {tolerance:.3g}"


def test_every_layer_is_listed_as_transformers_made_it(layers_client):
    layers = {layer.name: layer for layer in layers_client.list_layers()}
    assert set(layers) == {f"{name}/{index}" for name in FAMILIES for index in range(LAYERS)}
    for layer in layers.values():
        assert (layer.hidden_dim, layer.output_dim, layer.num_q_heads, layer.weights) == (HIDDEN, HIDDEN, 6, "f32")
    assert (layers["llama/0"].num_kv_heads, layers["bert/0"].num_kv_heads) == (2, 6)
    assert layers["mistral-window/1"].window == 5 and layers["llama/1"].window == 0
    assert layers["llama/0"].has_rope and not layers["gpt2/0"].has_rope
    assert (layers["gpt2/0"].causal, layers["bert/0"].causal) == ("top_left", "none")
    assert layers["llama-wide-heads/0"].head_dim == 20


@pytest.mark.parametrize("index", range(LAYERS))
@pytest.mark.parametrize("name", FAMILIES)
def test_forward_is_the_models_own_attention(layers_client, references, name, index):
    hidden = hidden_states(3)
    found = attnserve.Layer(f"{name}/{index}", layers_client)(hidden)
    assert_near(found, references[1][name].output(index, hidden))


@pytest.mark.parametrize("name", FAMILIES)
def test_session_token_by_token_is_the_whole(layers_client, references, name):
    hidden = hidden_states(1)
    expected = references[1][name].output(1, hidden, is_causal=True)  # A step sees what came before it.
    layer = attnserve.Layer(f"{name}/1", layers_client)
    spec = layer.spec()
    with layers_client.create_session(num_kv_heads=spec.num_kv_heads, head_dim=spec.head_dim,
                                      num_layers=LAYERS) as session:
        found = [layer(hidden[:, :7], session=session, session_layer=1, causal="top_left")]
        found += [layer(hidden[:, at:at + 1], session=session, session_layer=1) for at in range(7, TOKENS)]
        assert (session.length(0), session.length(1)) == (0, TOKENS)
        assert list(session.refresh().layer_lengths) == [0, TOKENS]
    assert_near(np.concatenate(found, axis=1), expected)


@pytest.mark.parametrize("name", ["llama", "bert", "gpt2"])
def test_batch_of_lengths_answers_as_each_alone(layers_client, references, name):
    hidden = hidden_states(1)
    requests = [attnserve.ForwardRequest(f"{name}/0", hidden[:, :tokens]) for tokens in (1, 5, TOKENS)]
    for request, result in zip(requests, layers_client.forward_batch(requests)):
        found = result.unwrap().output
        np.testing.assert_array_equal(found, layers_client.forward(request.layer, request.hidden).output)
        assert_near(found, references[1][name].output(0, request.hidden))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_torch_tensors_of_small_floats_come_back_as_such(layers_client, references, dtype):
    torch = pytest.importorskip("torch")
    hidden = torch.from_numpy(hidden_states(2)).to(getattr(torch, dtype))
    found = attnserve.Layer("qwen3/0", layers_client)(hidden)
    assert found.dtype == hidden.dtype
    expected = references[1]["qwen3"].output(0, hidden.double().numpy())
    assert_near(found.double().numpy(), expected, TOLERANCE + ROUNDING[dtype])


def test_positions_move_the_rotary_embedding(layers_client):
    hidden = hidden_states(1)
    layer = attnserve.Layer("llama/0", layers_client)
    plain = layer(hidden)
    # It sees differences of positions alone.
    assert_near(layer(hidden, positions=range(100, 100 + TOKENS)), plain)
    assert np.abs(layer(hidden, positions=range(0, 3 * TOKENS, 3)) - plain).max() > 0.01


