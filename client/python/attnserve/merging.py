"""Exact merge of answers over disjoint parts of keys and values, as
client/cpp/merge.h has it: how a context that no single server holds is
attended to. For every row

    lse    = log(sum_p exp(lse_p))
    output = sum_p exp(lse_p - lse) * output_p
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnserve._tensor import Array, Kind, dtype_name, to_float64
from attnserve.request import Layout
from attnserve.response import AttendResponse

_AXES = {"bhsd": 4, "bshd": 4, "bse": 3}


@dataclass(frozen=True, eq=False)
class PartialAnswer:
    """The answer over one part of the keys, or over several merged ones."""

    output: Array
    """[B, num_q_heads, q_len, value_head_dim] in "bhsd", else as the layout says; a float."""
    lse: Array | None
    """[B, num_q_heads, q_len] f32 or f64."""


def merge(parts: Sequence[AttendResponse | PartialAnswer], *, layout: Layout = "bhsd",
          sinks: Sequence[float] = ()) -> PartialAnswer:
    """The answer over all parts, in their shapes and dtypes, rounded once.

    parts: responses that were asked for with return_lse. A server counts its keys
    from 0: a part that begins at key s of the whole wants causal_offset = offset -
    s (also for windows and ALiBi), and its slice of attn_mask and kv_lengths.
    sinks: [num_q_heads] logits that no part was given, or empty.

    Sums are f64 and run from the first part to the last: the same parts give the
    same bytes. lse -inf: the part has no key for the row and counts for nothing,
    whatever its output holds. A row without keys in any part: output 0, lse -inf.
    Raises ValueError, TypeError for parts that do not fit together.
    """
    outputs, lses = _check(parts, layout)
    weights, lse = _weigh(lses, _check_sinks(sinks, lses.shape[2]))
    total = np.zeros(outputs[0].shape)
    with np.errstate(invalid="ignore", over="ignore"):
        for output, weight, part_lse in zip(outputs, weights, lses):
            # Nothing of a part without keys may get in, not even a NaN.
            has_key = _rows(part_lse != -np.inf, layout)
            total += np.where(has_key, _rows(weight, layout) * output, 0.0)
    first, kind = parts[0], Kind(parts[0].output)
    whole = total.reshape(tuple(first.output.shape))
    return PartialAnswer(kind.from_float64(whole, dtype_name("output", first.output)),
                         kind.from_float64(lse, dtype_name("lse", first.lse)))


def _check(parts: Sequence[AttendResponse | PartialAnswer], layout: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Outputs with an axis of dims for each head, and lses [parts, B, num_q_heads, q_len]."""
    if layout not in _AXES:
        raise ValueError(f"layout must be one of {', '.join(_AXES)}; got {layout!r}")
    if not parts:
        raise ValueError("parts must not be empty; got none")
    outputs: list[np.ndarray] = []
    lses: list[np.ndarray] = []
    for p, part in enumerate(parts):
        if part.lse is None:
            raise ValueError(f"parts[{p}].lse is required, ask for it with return_lse; got None")
        for name in ("output", "lse"):
            field, array, first = f"parts[{p}].{name}", getattr(part, name), getattr(parts[0], name)
            found = (dtype_name(field, array), tuple(array.shape))
            wanted = (dtype_name(field, first), tuple(first.shape))
            if found != wanted:
                raise ValueError(f"{field} must be like that of parts[0]; got {found} vs {wanted}")
        outputs.append(to_float64(f"parts[{p}].output", part.output))
        lses.append(to_float64(f"parts[{p}].lse", part.lse))
    return _split_heads(outputs, lses[0].shape, layout), np.stack(lses)


def _split_heads(outputs: list[np.ndarray], lse: tuple[int, ...], layout: str) -> list[np.ndarray]:
    shape = outputs[0].shape
    if len(shape) != _AXES[layout]:
        raise ValueError(f"parts[0].output must have {_AXES[layout]} axes in {layout}; got shape {shape}")
    rows = (shape[0], shape[1], shape[2]) if layout == "bhsd" else (shape[0], shape[2], shape[1])
    if layout == "bse" and len(lse) == 3 and lse[1] > 0 and shape[2] % lse[1] == 0:
        rows = (shape[0], lse[1], shape[1])  # The heads are known from the lse alone.
    if lse != rows:
        raise ValueError(f"parts[0].lse must be [B, num_q_heads, q_len] of output {shape} in {layout}; got {lse}")
    if layout == "bse":
        return [output.reshape(*shape[:2], rows[1], shape[2] // rows[1]) for output in outputs]
    return outputs


def _check_sinks(sinks: Sequence[float], heads: int) -> np.ndarray:
    """[heads, 1]; -inf where there are none."""
    if len(sinks) == 0:
        return np.full((heads, 1), -np.inf)
    logits = np.asarray(sinks, np.float64)
    if logits.shape != (heads,) or not np.isfinite(logits).all():
        raise ValueError(f"sinks must be empty or num_q_heads = {heads} finite numbers; got {list(sinks)}")
    return logits[:, None]


def _weigh(lses: np.ndarray, sinks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weight of each part in each row, and the lse of the whole. Weights are
    divided by their sum, not by exp(lse): beside an lse of 1e30 (a mask of
    finfo.min) the logarithm of a sum is nothing."""
    has_key = (lses != -np.inf).any(axis=0)  # NaN must not become -inf.
    sinks = np.broadcast_to(sinks, has_key.shape)
    largest = np.maximum(lses.max(axis=0), sinks)
    largest = np.where(has_key, largest, 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        terms = np.exp(lses - largest)
        total = terms.sum(axis=0) + np.exp(sinks - largest)
        whole = largest + np.log(np.where(has_key, total, 1.0))
        return terms / np.where(has_key, total, 1.0), np.where(has_key, whole, -np.inf)


def _rows(array: np.ndarray, layout: str) -> np.ndarray:
    """[B, num_q_heads, q_len] as it goes with an output that has an axis of dims."""
    return (array if layout == "bhsd" else array.swapaxes(1, 2))[..., None]
