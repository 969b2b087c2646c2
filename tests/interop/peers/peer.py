"""What every peer offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from case import Case


class Unsupported(Exception):
    """The peer has no such option, or another meaning of it; the text says
    which, in words that the report counts."""


@dataclass
class PeerAnswer:
    """Results [B, heads, length, dim] and how exact they claim to be."""

    output: np.ndarray
    unit: float  # Unit roundoff of the peer's arithmetic.
    result_dtype: str  # What its output, lse and weights are rounded to.
    weights: np.ndarray | None = None  # Of the case's weights mode.
    lse: np.ndarray | None = None


class Peer(Protocol):
    """Makes an answer to a case, or says why not."""

    name: str
    version: str

    def compute(self, case: Case) -> PeerAnswer:
        """Raises Unsupported."""
        ...


def refuse(*reasons: tuple[bool, str]) -> None:
    """Raises Unsupported with the first text whose condition holds."""
    for holds, reason in reasons:
        if holds:
            raise Unsupported(reason)
