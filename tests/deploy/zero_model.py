"""A published model whose weights are all zero: its files are as long as a real one's,
take no room on the disk, and load as fast."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import struct

_BF16_BYTES = 2


@dataclasses.dataclass(frozen=True)
class ZeroModel:
    """A Llama in BF16, of which only the attention layers are there."""

    hidden: int
    q_heads: int
    kv_heads: int
    head_dim: int
    layers: int = 1

    def write(self, folder: pathlib.Path) -> None:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({
            "model_type": "llama", "hidden_size": self.hidden, "num_hidden_layers": self.layers,
            "num_attention_heads": self.q_heads, "num_key_value_heads": self.kv_heads, "head_dim": self.head_dim,
            "rope_theta": 10000.0}))
        header, end = self._header()
        text = json.dumps(header).encode()
        with (folder / "model.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.truncate(file.tell() + end)

    def _header(self) -> tuple[dict[str, object], int]:
        """And the bytes of all tensors."""
        header: dict[str, object] = {}
        q_dim, kv_dim, begin = self.q_heads * self.head_dim, self.kv_heads * self.head_dim, 0
        for layer in range(self.layers):
            for name, shape in (("q", (q_dim, self.hidden)), ("k", (kv_dim, self.hidden)),
                                ("v", (kv_dim, self.hidden)), ("o", (self.hidden, q_dim))):
                end = begin + shape[0] * shape[1] * _BF16_BYTES
                header[f"model.layers.{layer}.self_attn.{name}_proj.weight"] = {
                    "dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
                begin = end
        return header, begin
