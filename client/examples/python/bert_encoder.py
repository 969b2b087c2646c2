"""A sentence encoder of the BERT family in NumPy, but for its attention: that is a
function of the caller's, so that it can be computed elsewhere.

Weights are read as they are published: model.safetensors, config.json and
tokenizer.json in one folder.
"""

from __future__ import annotations

import json
import math
import pathlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

# (layer, hidden [B, tokens, hidden_dim], lengths [B]) -> [B, tokens, hidden_dim]: the
# attention of a layer with its four projections.
Attention = Callable[[int, np.ndarray, Sequence[int]], np.ndarray]


@dataclass(frozen=True)
class Sentences:
    """Token ids [B, tokens], padded with 0, and how many of each row count."""

    ids: np.ndarray
    lengths: list[int]


def read_safetensors(path: pathlib.Path, dtype: type) -> dict[str, np.ndarray]:
    """The file's F32 tensors by name."""
    blob = path.read_bytes()
    (header_bytes,) = struct.unpack("<Q", blob[:8])
    start = 8 + header_bytes
    tensors = {}
    for name, entry in json.loads(blob[8:start]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(blob[start + begin:start + end], "<f4").reshape(entry["shape"]).astype(dtype)
    return tensors


class BertEncoder:
    """Thread-compatible."""

    def __init__(self, folder: pathlib.Path, dtype: type = np.float32) -> None:
        """dtype: of the arithmetic here."""
        self.config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.num_layers: int = self.config["num_hidden_layers"]
        self._weights = read_safetensors(folder / "model.safetensors", dtype)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()

    def tokenize(self, texts: Sequence[str]) -> Sentences:
        rows = [self._tokenizer.encode(text).ids for text in texts]
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        for row, found in zip(ids, rows):
            row[:len(found)] = found
        return Sentences(ids, [len(row) for row in rows])

    def embed(self, sentences: Sentences, attention: Attention) -> np.ndarray:
        """[B, hidden_dim]: the mean over each sentence's tokens, of length 1."""
        hidden = self.first_hidden(sentences)
        for layer in range(self.num_layers):
            hidden = self.finish_layer(layer, hidden, attention(layer, hidden, sentences.lengths))
        counts = np.arange(hidden.shape[1]) < np.array(sentences.lengths)[:, None]
        mean = (hidden * counts[..., None]).sum(axis=1) / np.array(sentences.lengths, hidden.dtype)[:, None]
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def first_hidden(self, sentences: Sentences) -> np.ndarray:
        """What goes into layer 0."""
        table = {name: self._weights[f"embeddings.{name}_embeddings.weight"]
                 for name in ("word", "position", "token_type")}
        hidden = table["word"][sentences.ids] + table["position"][:sentences.ids.shape[1]] + table["token_type"][0]
        return self._layer_norm("embeddings.LayerNorm", hidden)

    def finish_layer(self, layer: int, hidden: np.ndarray, attended: np.ndarray) -> np.ndarray:
        """What follows attention: residual, norm, feed-forward."""
        part = f"encoder.layer.{layer}."
        middle = self._layer_norm(part + "attention.output.LayerNorm", hidden + attended)
        wide = gelu(self._linear(part + "intermediate.dense", middle))
        return self._layer_norm(part + "output.LayerNorm", middle + self._linear(part + "output.dense", wide))

    def attention(self, layer: int, hidden: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        """The attention of a layer here, to compare with: an Attention."""
        part = f"encoder.layer.{layer}.attention."
        query, key, value = (self._split_heads(self._linear(f"{part}self.{name}", hidden))
                             for name in ("query", "key", "value"))
        scores = query @ key.swapaxes(2, 3) / math.sqrt(query.shape[3])
        is_key = np.arange(hidden.shape[1]) < np.array(lengths)[:, None, None, None]
        scores = np.where(is_key, scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=3, keepdims=True))
        mixed = weights / weights.sum(axis=3, keepdims=True) @ value
        return self._linear(part + "output.dense", mixed.swapaxes(1, 2).reshape(hidden.shape))

    def _split_heads(self, rows: np.ndarray) -> np.ndarray:
        """[B, tokens, heads * dim] -> [B, heads, tokens, dim]"""
        return rows.reshape(*rows.shape[:2], self.config["num_attention_heads"], -1).swapaxes(1, 2)

    def _linear(self, name: str, rows: np.ndarray) -> np.ndarray:
        return rows @ self._weights[name + ".weight"].T + self._weights[name + ".bias"]

    def _layer_norm(self, name: str, rows: np.ndarray) -> np.ndarray:
        centred = rows - rows.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        normal = centred / np.sqrt(variance + self.config["layer_norm_eps"])
        return normal * self._weights[name + ".weight"] + self._weights[name + ".bias"]


def gelu(rows: np.ndarray) -> np.ndarray:
    erf = np.vectorize(math.erf, otypes=[rows.dtype])
    return 0.5 * rows * (1 + erf(rows / math.sqrt(2)))
