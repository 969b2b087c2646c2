"""How far an answer may be from the exact one, and how far it is.

The bound follows the arithmetic, so that it is tight where the problem is easy
and wide where it is hard. With u the unit roundoff of the arithmetic, a score is
off by up to about ds = u * ((3 + sqrt(head_dim) / 2) * products + 4 * terms); a
weight w by the factor exp(ds), by the error of the denominator, and by
(8 + sqrt(kv_len)) * u for sums and exponentials; the output by those of its
weights times |value|, and by one rounding to its dtype.

Of that last rounding, which alone makes up most of a 16-bit answer's error,
ratios leave out what is allowed, so that they show the arithmetic: 0 where the
answer is the exact one, rounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from case import SMALLEST, UNIT_ROUNDOFF, Case
from oracle import Expected

PER_TERM = 4.0
# Weights below this are absolute: exponentials may be flushed to zero.
TINY = 2.0**-100
# Of what the server keeps in F32 whatever the query's dtype.
F32 = UNIT_ROUNDOFF["f32"]


@dataclass
class Bound:
    """Largest allowed absolute errors: of arithmetic, and of the last rounding."""

    arithmetic: np.ndarray
    rounding: np.ndarray

    def __add__(self, other: Bound) -> Bound:
        return Bound(self.arithmetic + other.arithmetic, self.rounding + other.rounding)


@dataclass
class Tolerance:
    """Largest allowed absolute errors, shaped like what they bound."""

    output: Bound
    lse: Bound
    stages: dict[str, Bound]


def server_unit(case: Case) -> float:
    """The server computes in f32, and in f64 where the query is F64; the f64
    oracle is then as far off itself."""
    return 2 * UNIT_ROUNDOFF["f64"] if case.dtype == "f64" else F32


def tolerance(case: Case, expected: Expected, unit: float, result_dtype: str, stored: str = "f32") -> Tolerance:
    """For arithmetic with that unit roundoff, whose output is rounded once to
    `result_dtype` and whose lse and weights are rounded to `stored`."""
    def bound(arithmetic: np.ndarray, exact: np.ndarray, dtype: str) -> Bound:
        return Bound(arithmetic + TINY, UNIT_ROUNDOFF[dtype] * np.abs(exact) + SMALLEST[dtype])

    with np.errstate(all="ignore"):
        stages = expected.stages
        weights = np.nan_to_num(stages["probabilities"])
        # Angles are f64 on both sides.
        per_product = unit * (3 + np.sqrt(case.query.shape[3]) / 2) + 4 * UNIT_ROUNDOFF["f64"] * expected.largest_angle
        raw_error = per_product * np.nan_to_num(expected.products)
        capped_error = raw_error + unit * PER_TERM * np.abs(stages["softcapped"])
        score_error = np.where(expected.allowed, raw_error + unit * PER_TERM * np.nan_to_num(expected.terms), 0.0)
        growth = np.expm1(np.minimum(score_error, 50.0))
        common = (weights * growth).sum(axis=3) + (8 + np.sqrt(weights.shape[3])) * unit
        weight_error = weights * (growth + common[..., None])
        value = np.nan_to_num(expected.absolute_value, posinf=0.0)
        largest = value.max(axis=2, initial=0.0)[:, :, None, :]
        errors = {"raw_scores": raw_error, "softcapped": capped_error, "biased": score_error,
                  "probabilities": weight_error}
        lse_error = common + unit * (1 + np.abs(expected.lse))
        return Tolerance(
            output=bound(weight_error @ value + TINY * largest, expected.output, result_dtype),
            lse=bound(lse_error, expected.lse, stored),
            stages={name: bound(error, stages[name], stored) for name, error in errors.items()})


@dataclass
class Difference:
    """The worst element of one comparison."""

    # Error over bound, the allowed rounding taken off; above 1 is a violation.
    ratio: float = 0.0
    error: float = 0.0  # The largest absolute error, maybe elsewhere.
    where: str = ""

    def merge(self, other: Difference) -> Difference:
        worst = self if self.ratio >= other.ratio else other
        return Difference(worst.ratio, max(self.error, other.error), worst.where)


def compare(name: str, actual: np.ndarray, wanted: np.ndarray, bound: Bound) -> Difference:
    """Element by element; infinities and NaN have to be the same."""
    if actual.shape != wanted.shape:
        return Difference(np.inf, np.inf, f"{name}: shape {list(actual.shape)}, not {list(wanted.shape)}")
    if actual.size == 0:
        return Difference()
    actual, wanted = actual.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(all="ignore"):
        same = (actual == wanted) | (np.isnan(actual) & np.isnan(wanted))
        comparable = np.isfinite(actual) & np.isfinite(wanted)
        error = np.where(same, 0.0, np.where(comparable, np.abs(actual - wanted), np.inf))
        excess = np.where(error == 0, 0.0, np.maximum(0.0, error - bound.rounding))
        ratio = np.where(excess == 0, 0.0, np.where(comparable, excess / bound.arithmetic, np.inf))
    ratio = np.where(np.isnan(ratio), 0.0, ratio)  # An infinite error within an infinite bound.
    worst = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    where = (f"{name}{[int(n) for n in worst]}: got {actual[worst]!r}, expected {wanted[worst]!r}, "
             f"error {error[worst]:.3g}, bound {bound.arithmetic[worst]:.3g} + {bound.rounding[worst]:.3g}")
    return Difference(float(ratio[worst]), float(np.max(error)), where)
