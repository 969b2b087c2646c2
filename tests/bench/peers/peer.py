"""What a peer is: a library that computes the problems in this process."""

from __future__ import annotations

import os
from typing import Callable, Protocol

import numpy as np

from problem import Problem

THREADS = len(os.sched_getaffinity(0))  # As many as the server's workers.

# Computes a problem whose arrays it holds, in the shape of the query.
Way = Callable[[], np.ndarray]


class Peer(Protocol):
    """ImportError or OSError where the library is not there."""

    name: str
    version: str

    def ways(self, problem: Problem) -> dict[str, Way]:
        """By name; the fastest one counts. A way may still fail when it runs."""
