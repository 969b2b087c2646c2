"""A tiny checkpoint as published models have it, written with NumPy, and what its
attention must answer."""

from __future__ import annotations

import json
import pathlib
import struct

import numpy as np

HIDDEN, HEADS = 32, 4


def write_safetensors(path: pathlib.Path, tensors: dict[str, np.ndarray]) -> None:
    """F32 tensors, one after the other."""
    header, data = {}, bytearray()
    for name, array in tensors.items():
        first = len(data)
        data += np.ascontiguousarray(array, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [first, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class TinyBert:
    """Random weights, the same in every run and every layer."""

    def __init__(self) -> None:
        random = np.random.default_rng(20261122)
        self._linear = {name: (random.standard_normal((HIDDEN, HIDDEN), np.float32) / 4,
                               random.standard_normal(HIDDEN, np.float32))
                        for name in ("self.query", "self.key", "self.value", "output.dense")}

    def write(self, folder: pathlib.Path, num_layers: int = 1) -> None:
        folder.mkdir(parents=True)
        tensors = {}
        for index in range(num_layers):
            for name, (weight, bias) in self._linear.items():
                part = f"encoder.layer.{index}.attention.{name}"
                tensors[f"{part}.weight"], tensors[f"{part}.bias"] = weight, bias
        write_safetensors(folder / "model.safetensors", tensors)
        config = {"model_type": "bert", "hidden_size": HIDDEN, "num_attention_heads": HEADS,
                  "num_hidden_layers": num_layers}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    def forward(self, hidden: np.ndarray, context: np.ndarray | None = None) -> np.ndarray:
        """In f64, without a mask."""
        source = hidden if context is None else context
        query, key, value = (self._project(f"self.{name}", rows).reshape(*rows.shape[:2], HEADS, -1).swapaxes(1, 2)
                             for name, rows in (("query", hidden), ("key", source), ("value", source)))
        scores = query @ key.swapaxes(2, 3) / np.sqrt(query.shape[3])
        weights = np.exp(scores - scores.max(axis=3, keepdims=True))
        mixed = weights / weights.sum(axis=3, keepdims=True) @ value
        return self._project("output.dense", mixed.swapaxes(1, 2).reshape(hidden.shape))

    def _project(self, name: str, rows: np.ndarray) -> np.ndarray:
        weight, bias = (array.astype(np.float64) for array in self._linear[name])
        return rows.astype(np.float64) @ weight.T + bias
