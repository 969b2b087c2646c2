"""Attention in NumPy and f64, to compare with: plain, causal by an offset."""

from __future__ import annotations

import numpy as np

# F32 answers are good to about 2e-6 of values around 1 (tests/interop/README.md).
TOLERANCE = 4e-6


def attend(query: np.ndarray, key: np.ndarray, value: np.ndarray, offset: int | None = None) -> np.ndarray:
    """[B, heads, q_len, value_head_dim]; with an offset row i sees keys up to offset + i."""
    group = query.shape[1] // key.shape[1]
    key, value = (np.repeat(array.astype(np.float64), group, axis=1) for array in (key, value))
    scores = query.astype(np.float64) @ key.swapaxes(2, 3) / np.sqrt(query.shape[3])
    if offset is not None:
        rows, keys = np.ogrid[:scores.shape[2], :scores.shape[3]]
        scores = np.where(keys <= offset + rows, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=3, keepdims=True))
    return weights / weights.sum(axis=3, keepdims=True) @ value
