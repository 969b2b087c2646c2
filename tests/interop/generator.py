"""Random requests, each a function of (seed, index) alone."""

from __future__ import annotations

import numpy as np

from case import DTYPES, Case, Rope

HEAD_DIMS = (1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 31, 32, 33, 40, 48, 64, 65, 80, 96, 128, 160, 256)
# Sizes at which tiles, SIMD vectors and splits end.
EDGES = (15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257)
LONG = (500, 511, 512, 513, 700, 1000, 1023, 1024, 1025, 2047, 2048, 2049, 3000)
# Score elements times head_dim past which a case would cost more than it tells.
MAX_WORK = 12_000_000
INT64_MAX = 2**63 - 1


def generate(seed: int, index: int) -> Case:
    """The case of that number."""
    return _Generator(seed, index).make()


class _Generator:
    def __init__(self, seed: int, index: int) -> None:
        self.seed, self.index = seed, index
        self.rng = np.random.default_rng([seed, index])

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, values, weights=None):
        total = None if weights is None else np.array(weights) / sum(weights)
        return values[int(self.rng.choice(len(values), p=total))]

    def integer(self, low: int, high: int) -> int:
        """low..high, both included."""
        return int(self.rng.integers(low, high + 1))

    def f32(self, value: float) -> float:
        """What is left of a number in a proto float."""
        return float(np.float32(value))

    def make(self) -> Case:
        case = self.tensors()
        plain = self.chance(0.1)
        if not plain:
            self.scores(case)
            self.structure(case)
            if self.chance(0.3):
                self.mask(case)
            if self.chance(0.13):
                self.rope(case)
        self.outputs(case)
        if self.chance(0.04):
            self.poison(case)
        return case

    def length(self) -> int:
        kind = self.pick(("none", "one", "small", "medium", "edge"), (2, 14, 60, 14, 10))
        return {"none": 0, "one": 1, "small": self.integer(2, 20), "medium": self.integer(21, 90),
                "edge": self.pick(EDGES)}[kind]

    def shape(self) -> tuple[int, int, int, int, int, int, int]:
        while True:
            batch, num_kv_heads = self.pick((1, 2, 3), (5, 3, 1)), self.pick((1, 2, 3, 4), (4, 3, 1, 1))
            group = self.pick((1, 2, 3, 4, 8), (6, 3, 1, 2, 1))
            q_len, kv_len = self.length(), self.length()
            if self.chance(0.2):
                kv_len = q_len
            elif self.chance(0.06):
                q_len, kv_len = self.pick((1, 1, 2, 5)), self.pick(LONG)
            elif self.chance(0.03):
                q_len, kv_len = self.pick(LONG[:4]), self.pick(LONG[:5])
            head_dim = self.pick(HEAD_DIMS)
            value_head_dim = head_dim if self.chance(0.65) else self.pick(HEAD_DIMS)
            work = batch * num_kv_heads * group * q_len * kv_len * max(head_dim, value_head_dim)
            if work <= MAX_WORK:
                return batch, num_kv_heads * group, num_kv_heads, q_len, kv_len, head_dim, value_head_dim

    def tensors(self) -> Case:
        batch, num_q_heads, num_kv_heads, q_len, kv_len, head_dim, value_head_dim = self.shape()
        dtype = DTYPES[self.pick(("f32", "f16", "bf16", "f64"), (42, 21, 21, 16))]
        # Large queries make rows that look at one key alone.
        amplitude = self.pick((1.0, 0.1, 4.0), (8, 1, 1))
        spread, shift = self.pick(((1.0, 0.0), (1.0, 1.0), (100.0, 0.0), (1e-3, 0.0)), (8, 1, 1, 1))
        query = self.rng.normal(size=(batch, num_q_heads, q_len, head_dim)) * amplitude
        key = self.rng.normal(size=(batch, num_kv_heads, kv_len, head_dim))
        value = self.rng.normal(size=(batch, num_kv_heads, kv_len, value_head_dim)) * spread + shift
        return Case(self.seed, self.index, query.astype(dtype), key.astype(dtype), value.astype(dtype),
                    layout=self.pick(("bhsd", "bshd", "bse"), (2, 1, 1)))

    def scores(self, case: Case) -> None:
        num_q_heads = case.shape[1]
        if self.chance(0.25):
            case.scale = 0.0 if self.chance(0.1) else self.f32(self.rng.uniform(0.01, 0.8))
        if self.chance(0.2):
            case.softcap = self.f32(np.exp(self.rng.uniform(np.log(0.5), np.log(60))))
        if self.chance(0.16):
            steps = np.arange(1, num_q_heads + 1) * (8 / num_q_heads)
            usual = self.chance(0.5)
            case.alibi_slopes = (2.0**-steps if usual else self.rng.normal(size=num_q_heads)).astype(np.float32)
        if self.chance(0.16):
            case.sinks = (self.rng.normal(size=num_q_heads) * self.pick((1, 5))).astype(np.float32)

    def structure(self, case: Case) -> None:
        batch, _, _, q_len, kv_len, _, _ = case.shape
        case.causal = self.pick(("none", "top_left", "bottom_right"), (5, 3, 3))
        if self.chance(0.3):
            case.kv_lengths = [self.integer(0, kv_len) for _ in range(batch)]
        if self.chance(0.18):
            case.causal_offset = self.integer(-q_len - 2, kv_len + 2)
            if case.alibi_slopes is None and self.chance(0.05):
                case.causal_offset = self.pick((INT64_MAX, -INT64_MAX - 1, 2**62, -(2**62)))
        for name, probability in (("left_window", 0.16), ("right_window", 0.12)):
            if self.chance(probability):
                setattr(case, name, INT64_MAX if self.chance(0.03) else self.integer(0, kv_len + 2))

    def mask_shape(self, case: Case) -> tuple[int, ...]:
        batch, num_q_heads, _, q_len, kv_len, _, _ = case.shape
        rank = self.pick((1, 2, 3, 4), (1, 3, 2, 4))
        last = self.pick((kv_len, 1, self.integer(0, kv_len)), (7, 1, 2))
        full = [batch, num_q_heads, q_len]
        return tuple([n if self.chance(0.65) else 1 for n in full] + [last])[-rank:]

    def mask(self, case: Case) -> None:
        shape = self.mask_shape(case)
        kind = self.pick(("bool", "f32", case.dtype), (5, 2, 2))
        allowed = self.rng.random(shape) < self.pick((0.75, 0.3, 1.0), (6, 2, 1))
        if kind == "bool":
            case.mask = allowed
            return
        low = self.pick((-np.inf, -1e4, float(np.finfo(np.float32).min) if kind == "f32" else -3e4), (5, 2, 1))
        case.mask = np.where(allowed, self.rng.normal(size=shape) * 2, low).astype(DTYPES[kind])

    def positions(self, n: int) -> list[int]:
        start = self.pick((0, 7, 1000, 100_000), (3, 3, 2, 1))
        steps = self.rng.integers(0, 4, size=n)
        return (start + np.cumsum(steps)).tolist()

    def rope(self, case: Case) -> None:
        _, _, _, q_len, kv_len, head_dim, _ = case.shape
        if head_dim < 2:
            return
        rope = Rope(interleaved=self.chance(0.5))
        if head_dim % 2 or self.chance(0.4):
            rope.rotary_dim = 2 * self.integer(1, head_dim // 2)
        pairs = (rope.rotary_dim or head_dim) // 2
        if self.chance(0.5):
            if self.chance(0.5):
                rope.key_positions = self.positions(kv_len)
            if self.chance(0.7) and (rope.key_positions is not None or kv_len in (0, q_len)):
                rope.positions = self.positions(q_len)
        if self.chance(0.3):
            self.tables(rope, pairs, max(q_len, kv_len), DTYPES[self.pick(("f32", case.dtype))])
        else:
            rope.base = self.f32(self.pick((10000.0, 500000.0, 100.0)))
            rope.scaling_factor = self.pick((0.0, 1.0, 4.0, self.f32(1.7)), (5, 1, 2, 1))
        case.rope = rope

    def tables(self, rope: Rope, pairs: int, rows: int, dtype: np.dtype) -> None:
        for positions in (rope.positions, rope.key_positions):
            if positions is not None:
                positions[:] = [position % 512 for position in positions]
                rows = max([rows, *(position + 1 for position in positions)])
        angles = self.rng.uniform(-3.2, 3.2, size=(max(rows, 1), pairs))
        rope.cos, rope.sin = np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)

    def outputs(self, case: Case) -> None:
        if self.chance(0.15):
            case.output_dtype = self.pick(("f32", "f16", "bf16", "f64"), (4, 2, 2, 1))
        case.return_lse = self.chance(0.35)
        if self.chance(0.35):
            case.weights = self.pick(("raw_scores", "softcapped", "biased", "probabilities"), (1, 1, 1, 2))
        if self.chance(0.1):
            case.top_k = self.pick((1, 2, 5, 40, 1024))
            if self.chance(0.5):
                case.weights = "none"

    def poison(self, case: Case) -> None:
        """NaN in keys and values; what no row may see must not matter."""
        batch, _, _, _, kv_len, _, _ = case.shape
        if kv_len == 0 or case.top_k:
            return
        case.has_nan = True
        if case.kv_lengths is None:
            case.kv_lengths = [self.integer(0, kv_len) for _ in range(batch)]
        for b, length in enumerate(case.kv_lengths):
            case.key[b, :, length:] = np.nan
            case.value[b, :, length:] = np.nan
        if self.chance(0.4):
            j = self.integer(0, kv_len - 1)
            case.key[:, :, j] = case.value[:, :, j] = np.nan
