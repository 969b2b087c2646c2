"""torch.nn.functional.scaled_dot_product_attention, computed by a server."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnserve._tensor import Array, dtype_name, is_torch
from attnserve.client import Client
from attnserve.default_client import default_client

_FLOATS = ("f32", "f16", "bf16", "f64")


def scaled_dot_product_attention(query: Array, key: Array, value: Array, attn_mask: Array | None = None,
                                 dropout_p: float = 0.0, is_causal: bool = False, *, scale: float | None = None,
                                 enable_gqa: bool = False, client: Client | None = None) -> Array:
    """PyTorch's function of that name, with its meaning of every argument.

    query [..., L, E], key [..., S, E], value [..., S, Ev]: torch tensors or NumPy
    arrays of one float dtype; leading axes, any number of them, broadcast.
    attn_mask: bool (True attends) or float (added; f32 or the query's dtype),
    broadcasts to [..., L, S]. is_causal: row i sees keys 0 to i, also where L is
    not S. scale: 1 / sqrt(E) unless given. enable_gqa: axis -3 of key and value
    may divide that of query. client: else that of `connect` or ATTN_TARGET.
    Gives [..., L, Ev] of the query's dtype, library and device.

    What differs: dropout_p must be 0 and no gradients come back; a scale that is
    not finite is refused, and one of 0 or less with is_causal is not NaN; NaN in
    values that no row may see stays there; empty tensors are checked and
    broadcast as others are. Raises RuntimeError where PyTorch does, NotImplementedError for dropout, TypeError
    for arrays that are no float tensors, and what `Client.attend` raises.
    """
    if dropout_p != 0:
        raise NotImplementedError(f"dropout_p must be 0: attnserve drops nothing; got {dropout_p}")
    if is_causal and attn_mask is not None:
        raise RuntimeError("attn_mask must not be given when is_causal=True")
    if scale is not None and not math.isfinite(scale):
        raise ValueError(f"scale must be finite; got {scale}")
    dtype = _check_tensors(query, key, value)
    problem = _Problem.of(query, key, value, enable_gqa)
    mask = None if attn_mask is None else _prepare_mask(attn_mask, dtype, problem)
    if math.prod(problem.output_shape) == 0:
        return _zeros(query, problem.output_shape)
    query, key, value = problem.tensors(query, key, value)
    query, scale = _apply_scale(query, dtype, scale)
    if query.shape[3] == 0:  # Every score is 0 then.
        query, key = _zeros(query, (*query.shape[:3], 1)), _zeros(key, (*key.shape[:3], 1))
    response = (client or default_client()).attend(
        query, key, value, attn_mask=mask, causal="top_left" if is_causal else None, scale=scale)
    return response.output.reshape(problem.output_shape)


@dataclass(frozen=True)
class _Problem:
    """How leading axes become batch and heads. The last one is heads; without
    one there is a single head."""

    lead: tuple[int, ...]  # Of the output.
    score_lead: tuple[int, ...]  # Of query . key, which a mask must fit.
    kv_heads: int  # As sent.
    shape: tuple[int, int, int]  # L, S, Ev

    @classmethod
    def of(cls, query: Array, key: Array, value: Array, enable_gqa: bool) -> _Problem:
        leads = [tuple(array.shape[:-2]) for array in (query, key, value)]
        if enable_gqa:
            leads = _group(leads)
        score_lead = _broadcast_shapes("query and key", *leads[:2])
        lead = _broadcast_shapes("query, key and value", score_lead, leads[2])
        heads = {array.shape[-3] if array.ndim > 2 else 1 for array in (key, value)}
        return cls(lead, score_lead, heads.pop() if len(heads) == 1 else lead[-1],
                   (query.shape[-2], key.shape[-2], value.shape[-1]))

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (*self.lead, self.shape[0], self.shape[2])

    def tensors(self, query: Array, key: Array, value: Array) -> tuple[Array, Array, Array]:
        """As LAYOUT_BHSD."""
        return (self._flatten(query, self.lead[-1] if self.lead else 1),
                *(self._flatten(_with_heads(array, self.kv_heads), self.kv_heads) for array in (key, value)))

    def mask(self, mask: Array) -> Array:
        """With four axes; broadcast over the batch where all of its axes are 1."""
        heads = mask.shape[-3] if mask.ndim > 2 else 1
        if math.prod(mask.shape[:-3]) == 1:
            return mask.reshape((1, heads, *mask.shape[-2:]))
        return self._flatten(mask, heads)

    def _flatten(self, array: Array, heads: int) -> Array:
        batch = self.lead[:-1]
        rest = tuple(array.shape[-2:])
        return _broadcast_to(array, (*batch, heads, *rest)).reshape((math.prod(batch), heads, *rest))


def _check_tensors(query: Array, key: Array, value: Array) -> str:
    """The common dtype."""
    names = [dtype_name(field, array) for field, array in (("query", query), ("key", key), ("value", value))]
    if names[0] not in _FLOATS:
        raise TypeError(f"query must be f32, f16, bf16 or f64; got {names[0]}")
    shapes = [list(array.shape) for array in (query, key, value)]
    if len(set(names)) > 1:
        raise RuntimeError(f"query, key and value must have one dtype; got {', '.join(names)}")
    if min(map(len, shapes)) < 2:
        raise RuntimeError(f"query, key and value must have at least 2 axes; got shapes {shapes}")
    if shapes[0][-1] != shapes[1][-1] or shapes[1][-2] != shapes[2][-2]:
        raise RuntimeError(f"query [..., L, E], key [..., S, E] and value [..., S, Ev] do not fit; got {shapes}")
    return names[0]


def _group(leads: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Leading axes with the heads of key and value repeated to those of query."""
    if not all(leads):
        raise RuntimeError("enable_gqa needs heads: at least 3 axes")
    heads = [lead[-1] for lead in leads]
    if any(n != heads[0] and (n == 0 or heads[0] % n) for n in heads[1:]):
        raise RuntimeError(f"heads of key and value must divide those of query; got {heads[1:]} vs {heads[0]}")
    return [(*lead[:-1], heads[0]) for lead in leads]


def _prepare_mask(mask: Array, dtype: str, problem: _Problem) -> Array:
    name = dtype_name("attn_mask", mask)
    if name not in ("bool", "f32", dtype):
        raise RuntimeError(f"attn_mask must be bool, f32 or of the query's dtype {dtype}; got {name}")
    rows, keys, _ = problem.shape
    # PyTorch gives three axes a fourth.
    lead = (1, *problem.score_lead) if len(problem.score_lead) == 1 else problem.score_lead
    full, shape = (*lead, rows, keys), tuple(mask.shape)
    fits = 2 <= len(shape) <= len(full) and all(n in (1, m) for n, m in zip(shape[::-1], full[::-1]))
    if not fits:
        raise RuntimeError(f"attn_mask must have at least 2 axes and broadcast to {list(full)}; got {list(shape)}")
    return problem.mask(mask)


def _apply_scale(query: Array, dtype: str, scale: float | None) -> tuple[Array, float | None]:
    """The contract has scales from 0 on, in f32: a sign goes into the query, and
    for f64 all of the scale does, so that its digits count."""
    if scale is None:
        return query, None
    if dtype == "f64":
        return query * scale, 1.0
    return (-query if scale < 0 else query), abs(scale)


def _broadcast_shapes(names: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise RuntimeError(f"leading axes of {names} do not broadcast; got {', '.join(map(str, shapes))}") from None


# What NumPy and torch call differently.

def _broadcast_to(array: Array, shape: tuple[int, ...]) -> Array:
    return array.expand(shape) if is_torch(array) else np.broadcast_to(array, shape)


def _with_heads(array: Array, heads: int) -> Array:
    """Axis -3 repeated to that many, each head next to its copies."""
    if array.ndim < 3 or array.shape[-3] == heads:
        return array
    count = heads // array.shape[-3]
    return array.repeat_interleave(count, dim=-3) if is_torch(array) else np.repeat(array, count, axis=-3)


def _zeros(like: Array, shape: tuple[int, ...]) -> Array:
    torch: Any = sys.modules.get("torch")
    return torch.zeros(shape, dtype=like.dtype, device=like.device) if is_torch(like) else np.zeros(shape, like.dtype)
