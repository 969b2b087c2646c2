"""The contract of proto/README.md in NumPy and f64, written from its text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from case import Case, Rope


@dataclass
class Expected:
    """What a perfect server answers, and what its error scales with."""

    output: np.ndarray  # [B, Hq, q_len, Dv]
    lse: np.ndarray  # [B, Hq, q_len]
    stages: dict[str, np.ndarray]  # by weights mode, each [B, Hq, q_len, kv_len]
    allowed: np.ndarray  # bool [B, Hq, q_len, kv_len]
    absolute_value: np.ndarray  # |value| [B, Hq, kv_len, Dv]
    # Sizes of what is added up in a score, each [B, Hq, q_len, kv_len]: its
    # rounding errors are a few unit roundoffs of these.
    products: np.ndarray
    terms: np.ndarray
    largest_angle: float  # Of rope, in radians.

    def is_ordinary(self) -> bool:
        """|value| at most 10, and what is added up in a score at most 20."""
        with np.errstate(invalid="ignore"):
            return all(array.size == 0 or bool(array.max() <= limit)
                       for array, limit in ((self.absolute_value, 10), (self.terms, 20), (self.products, 20)))


def rope_angles(rope: Rope, positions: np.ndarray, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin [positions, pairs] in f64."""
    if rope.cos is not None and rope.sin is not None:
        return rope.cos.astype(np.float64)[positions], rope.sin.astype(np.float64)[positions]
    frequency = float(rope.base) ** (-np.arange(pairs) / pairs)
    angle = positions[:, None] / (rope.scaling_factor or 1.0) * frequency
    return np.cos(angle), np.sin(angle)


def rotate(x: np.ndarray, rope: Rope, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x [..., length, dim] rotated, and the length of each rotated pair at both
    of its channels: an upper bound of what the rotation adds up."""
    pairs = (rope.rotary_dim or x.shape[-1]) // 2
    first = np.arange(pairs) * (2 if rope.interleaved else 1)
    second = first + (1 if rope.interleaved else pairs)
    cos, sin = rope_angles(rope, positions, pairs)
    out, size = x.copy(), np.abs(x)
    out[..., first] = x[..., first] * cos - x[..., second] * sin
    out[..., second] = x[..., first] * sin + x[..., second] * cos
    size[..., first] = size[..., second] = np.hypot(x[..., first], x[..., second])
    return out, size


def rope_positions(rope: Rope, q_len: int, kv_len: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of query rows and keys of a stateless request."""
    rows = np.arange(q_len) if rope.positions is None else np.array(rope.positions, dtype=np.int64)
    if rope.key_positions is not None:
        return rows, np.array(rope.key_positions, dtype=np.int64)
    # positions serve as many keys; without keys there is nothing to place.
    return rows, rows if rope.positions is not None and kv_len else np.arange(kv_len)


def allowed_by_structure(case: Case) -> np.ndarray:
    """Bool [B, q_len, kv_len]: causal, windows and kv_lengths. Positions are
    Python integers, which do not overflow."""
    batch, _, _, q_len, kv_len, _, _ = case.shape
    allowed = np.ones((batch, q_len, kv_len), dtype=bool)
    keys = np.arange(kv_len)
    for b, offset in enumerate(case.offsets()):
        for i in range(q_len):
            position = offset + i
            last = position if case.causal != "none" else kv_len
            if case.right_window is not None:
                last = min(last, position + case.right_window)
            first = 0 if case.left_window is None else position - case.left_window
            first, last = (max(-1, min(kv_len + 1, edge)) for edge in (first, last))
            allowed[b, i] = (keys >= first) & (keys <= last)
        if case.kv_lengths is not None:
            allowed[b, :, case.kv_lengths[b]:] = False
    return allowed


def bias_of_mask(case: Case) -> np.ndarray:
    """The mask as a float bias [B, Hq, q_len, kv_len]."""
    batch, num_q_heads, _, q_len, kv_len, _, _ = case.shape
    full = (batch, num_q_heads, q_len, kv_len)
    if case.mask is None:
        return np.zeros(full)
    mask = case.mask
    bias = np.where(mask, 0.0, -np.inf) if mask.dtype == np.bool_ else mask.astype(np.float64)
    if bias.shape[-1] != 1 and bias.shape[-1] < kv_len:
        missing = [(0, 0)] * (bias.ndim - 1) + [(0, kv_len - bias.shape[-1])]
        bias = np.pad(bias, missing, constant_values=-np.inf)
    return np.broadcast_to(bias, full).copy()


def alibi(case: Case) -> np.ndarray:
    """[B, Hq, q_len, kv_len]"""
    batch, num_q_heads, _, q_len, kv_len, _, _ = case.shape
    if case.alibi_slopes is None:
        return np.zeros((batch, num_q_heads, q_len, kv_len))
    offsets = np.array(case.offsets())[:, None, None, None]
    distance = np.arange(kv_len) - (offsets + np.arange(q_len)[:, None])
    return case.alibi_slopes.astype(np.float64)[:, None, None] * distance


def attend(case: Case) -> Expected:
    """The answer in f64."""
    with np.errstate(all="ignore"):
        return _attend(case)


def _attend(case: Case) -> Expected:
    _, num_q_heads, num_kv_heads, q_len, kv_len, _, _ = case.shape
    query = case.query.astype(np.float64)
    key = np.repeat(case.key.astype(np.float64), num_q_heads // num_kv_heads, axis=1)
    value = np.repeat(case.value.astype(np.float64), num_q_heads // num_kv_heads, axis=1)
    query_size, key_size = np.abs(query), np.abs(key)
    largest_angle = 0.0
    if case.rope is not None:
        rows, keys = rope_positions(case.rope, q_len, kv_len)
        if case.rope.base > 0:
            largest_angle = float(np.abs(np.concatenate([rows, keys])).max(initial=0))
        query, query_size = rotate(query, case.rope, rows)
        key, key_size = rotate(key, case.rope, keys)

    raw = case.default_scale * (query @ key.swapaxes(2, 3))
    products = case.default_scale * (query_size @ key_size.swapaxes(2, 3))
    capped = case.softcap * np.tanh(raw / case.softcap) if case.softcap > 0 else raw
    slopes, mask = alibi(case), bias_of_mask(case)
    allowed = allowed_by_structure(case)[:, None] & (mask != -np.inf)
    biased = np.where(allowed, capped + slopes + mask, -np.inf)

    sinks = np.full(num_q_heads, -np.inf) if case.sinks is None else case.sinks.astype(np.float64)
    sink_size = np.where(np.isneginf(sinks), 0.0, np.abs(sinks))[:, None, None]
    empty = ~allowed.any(axis=3)
    top = np.maximum(biased.max(axis=3, initial=-np.inf), sinks[:, None])
    shift = np.where(np.isneginf(top), 0.0, top)
    exponentials = np.where(allowed, np.exp(biased - shift[..., None]), 0.0)
    denominator = exponentials.sum(axis=3) + np.exp(sinks[:, None] - shift)
    lse = np.where(empty, -np.inf, np.log(denominator) + shift)
    weights = np.where(allowed, exponentials / np.where(empty, 1.0, denominator)[..., None], 0.0)
    # A NaN that a row may see makes all of the row NaN.
    weights = np.where(np.isnan(lse)[..., None], np.nan, weights)
    return Expected(
        output=_weighted_sum(weights, allowed, value), lse=lse,
        stages={"raw_scores": raw, "softcapped": capped, "biased": biased, "probabilities": weights},
        allowed=allowed, absolute_value=np.abs(value), products=products, largest_angle=largest_angle,
        terms=np.where(allowed, np.abs(capped) + np.abs(slopes) + np.abs(mask) + np.abs(biased) + sink_size, 0.0))


def _weighted_sum(weights: np.ndarray, allowed: np.ndarray, value: np.ndarray) -> np.ndarray:
    """weights . value, where a value that a row may not see is never read."""
    bad = ~np.isfinite(value)
    output = weights @ np.where(bad, 0.0, value)  # NaN for a row of NaN weights.
    return np.where(allowed.astype(float) @ bad > 0, np.nan, output)
