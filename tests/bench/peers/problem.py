"""The two problems that the service and every peer are given, as NumPy arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

HEAD_DIM = 128


@dataclass(frozen=True)
class Problem:
    """query: [1, num_q_heads, q_len, 128]; key, value: [1, num_kv_heads, kv_len, 128];
    f32, contiguous, no mask."""

    name: str
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    runs: int  # Of which one repetition is the median.
    warm_runs: int = 0  # Before them; a decode loop does not begin with each token.

    @property
    def scale(self) -> float:
        return 1 / math.sqrt(HEAD_DIM)

    @property
    def group(self) -> int:
        """Query heads of a KV head."""
        return self.query.shape[1] // self.key.shape[1]

    def folded_query(self) -> np.ndarray:
        """[1, num_kv_heads, group * q_len, 128]: a group's heads as rows of one
        head. Without a mask the same answer, and how a peer reads each key once."""
        _, _, q_len, dim = self.query.shape
        return self.query.reshape(1, self.key.shape[1], self.group * q_len, dim)


def _random(seed: int, num_q_heads: int, num_kv_heads: int, q_len: int, kv_len: int) -> list[np.ndarray]:
    # NumPy asks for huge pages for arrays of 4 MiB and more, so the peers read those.
    generator = np.random.default_rng(seed)
    return [generator.standard_normal((1, heads, length, HEAD_DIM), dtype=np.float32)
            for heads, length in ((num_q_heads, q_len), (num_kv_heads, kv_len), (num_kv_heads, kv_len))]


def prefill() -> Problem:
    return Problem("prefill", *_random(1, 16, 16, 2048, 2048), runs=1)


def decode() -> Problem:
    return Problem("decode", *_random(2, 16, 4, 1, 32768), runs=11, warm_runs=11)
