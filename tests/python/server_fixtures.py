"""Fixtures: a real server for the whole run, clients of it, tensors."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import attnserve

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/interop"))
from server import Server  # noqa: E402  pylint: disable=wrong-import-position

Tensors = Callable[..., list[np.ndarray]]


@pytest.fixture(scope="session")
def binary() -> str:
    """Path of attnserve."""
    path = os.environ.get("ATTN_SERVER_BINARY", str(ROOT / "build/release/server/attnserve"))
    if not os.path.exists(path):
        pytest.skip(f"{path} is not built")
    return path


@pytest.fixture(scope="session")
def address(binary: str) -> Iterator[str]:
    with Server(binary) as server:
        yield server.address()
        assert server.stop() == 0


@pytest.fixture
def client(address: str) -> Iterator[attnserve.Client]:
    with attnserve.Client(address) as client:
        yield client


@pytest.fixture
def tensors() -> Tensors:
    """tensors(shape, ...) -> normal f32 arrays, the same in every run."""
    random = np.random.default_rng(20261121)
    return lambda *shapes: [random.standard_normal(shape, np.float32) for shape in shapes]
