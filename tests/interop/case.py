"""One request to the server, in NumPy, and how it reads for a person."""

from __future__ import annotations

from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

DTYPES: dict[str, np.dtype] = {
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f64": np.dtype(np.float64),
    "bool": np.dtype(np.bool_),
    "i32": np.dtype(np.int32),
}
# Half the distance from 1 to the next larger number: the error of one rounding.
UNIT_ROUNDOFF: dict[str, float] = {"f64": 2.0**-53, "f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}
# Smallest positive number, below which relative bounds end.
SMALLEST: dict[str, float] = {"f64": 2.0**-1074, "f32": 2.0**-149, "f16": 2.0**-24, "bf16": 2.0**-133}


def dtype_name(array: np.ndarray) -> str:
    """The key of DTYPES for this array."""
    return next(name for name, dtype in DTYPES.items() if dtype == array.dtype)


@dataclass
class Rope:
    """RopeParams; zeros and None are absent fields."""

    base: float = 0.0
    rotary_dim: int = 0
    interleaved: bool = False
    scaling_factor: float = 0.0
    cos: np.ndarray | None = None
    sin: np.ndarray | None = None
    positions: list[int] | None = None
    key_positions: list[int] | None = None


@dataclass
class Case:
    """A request. Tensors are [B, heads, length, dim] here, whatever the layout
    on the wire; None and 0 stand for absent fields."""

    seed: int
    index: int
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    layout: str = "bhsd"
    mask: np.ndarray | None = None
    kv_lengths: list[int] | None = None
    scale: float | None = None
    causal: str = "none"
    causal_offset: int | None = None
    left_window: int | None = None
    right_window: int | None = None
    softcap: float = 0.0
    alibi_slopes: np.ndarray | None = None
    sinks: np.ndarray | None = None
    rope: Rope | None = None
    output_dtype: str | None = None
    return_lse: bool = False
    weights: str = "none"
    top_k: int = 0
    has_nan: bool = False
    tags: list[str] = field(default_factory=list)

    @property
    def dtype(self) -> str:
        return dtype_name(self.query)

    @property
    def result_dtype(self) -> str:
        return self.output_dtype or self.dtype

    @property
    def shape(self) -> tuple[int, int, int, int, int, int, int]:
        """B, num_q_heads, num_kv_heads, q_len, kv_len, head_dim, value_head_dim."""
        batch, num_q_heads, q_len, head_dim = self.query.shape
        _, num_kv_heads, kv_len, value_head_dim = self.value.shape
        return batch, num_q_heads, num_kv_heads, q_len, kv_len, head_dim, value_head_dim

    @property
    def default_scale(self) -> float:
        return float(self.scale) if self.scale is not None else self.query.shape[3] ** -0.5

    def offsets(self) -> list[int]:
        """p(0) of every sequence: the offset rule of proto/README.md."""
        batch, _, _, q_len, kv_len, _, _ = self.shape
        lengths = self.kv_lengths if self.kv_lengths is not None else [kv_len] * batch
        if self.causal_offset is not None:
            return [self.causal_offset] * batch
        if self.causal == "bottom_right" or (self.causal == "none" and self.kv_lengths is not None):
            return [length - q_len for length in lengths]
        return [0] * batch

    def options(self) -> list[str]:
        """Names of the options in use, for the report."""
        batch, num_q_heads, num_kv_heads, q_len, kv_len, head_dim, value_head_dim = self.shape
        used = {
            f"dtype {self.dtype}": True,
            f"layout {self.layout.upper()}": True,
            "batch > 1": batch > 1,
            "GQA": num_q_heads != num_kv_heads,
            "value_head_dim != head_dim": value_head_dim != head_dim,
            "q_len 0 or kv_len 0": q_len == 0 or kv_len == 0,
            "scale": self.scale is not None,
            f"causal {self.causal.replace('_', '-')}": self.causal != "none",
            "causal_offset": self.causal_offset is not None,
            "windows": self.left_window is not None or self.right_window is not None,
            "softcap": self.softcap > 0,
            "alibi_slopes": self.alibi_slopes is not None,
            "sinks": self.sinks is not None,
            "kv_lengths": self.kv_lengths is not None,
            "mask bool": self.mask is not None and self.mask.dtype == np.bool_,
            "mask float": self.mask is not None and self.mask.dtype != np.bool_,
            "rope": self.rope is not None,
            f"weights {self.weights}": self.weights != "none",
            "lse": self.return_lse,
            "top_k": self.top_k > 0,
            "output.dtype": self.output_dtype is not None,
            "NaN where masked": self.has_nan,
        }
        return [name for name, is_used in used.items() if is_used]

    def describe(self) -> str:
        """One line that is enough to write the case by hand."""
        names = ("B", "Hq", "Hkv", "q_len", "kv_len", "D", "Dv")
        words = [" ".join(f"{name}={n}" for name, n in zip(names, self.shape)), self.dtype, self.layout]
        if self.mask is not None:
            words.append(f"mask={dtype_name(self.mask)}{list(self.mask.shape)}")
        for name in ("kv_lengths", "scale", "causal_offset", "left_window", "right_window", "output_dtype"):
            if getattr(self, name) is not None:
                words.append(f"{name}={getattr(self, name)}")
        for name in ("softcap", "top_k", "return_lse", "has_nan"):
            if getattr(self, name):
                words.append(f"{name}={getattr(self, name)}")
        for name in ("causal", "weights"):
            if getattr(self, name) != "none":
                words.append(f"{name}={getattr(self, name)}")
        for name in ("alibi_slopes", "sinks"):
            if getattr(self, name) is not None:
                words.append(f"{name}={np.round(getattr(self, name), 3).tolist()}")
        if self.rope is not None:
            tables = None if self.rope.cos is None else self.rope.cos.shape
            words.append(f"rope(base={self.rope.base} rotary_dim={self.rope.rotary_dim} "
                         f"interleaved={self.rope.interleaved} scaling={self.rope.scaling_factor} tables={tables} "
                         f"positions={self.rope.positions} key_positions={self.rope.key_positions})")
        return " ".join(words + self.tags)
