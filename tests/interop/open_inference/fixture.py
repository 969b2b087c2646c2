"""A real server for the tests of a class, tensors for tritonclient, and what they
must come to."""

from __future__ import annotations

import os
import pathlib
import sys
import unittest

import numpy as np
import tritonclient.grpc as triton

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from server import Server  # noqa: E402

DATATYPES = {np.dtype("float32"): "FP32", np.dtype("float16"): "FP16", np.dtype("float64"): "FP64",
             np.dtype("bool"): "BOOL", np.dtype("int64"): "INT64"}


def infer_input(name: str, array: np.ndarray) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), DATATYPES[array.dtype])
    made.set_data_from_numpy(array)
    return made


class Tensors:
    """Random query [B, 4, q_len, 8], key [B, 2, kv_len, 8] and value
    [B, 2, kv_len, 6]."""

    def __init__(self, seed: int, batch: int = 1, q_len: int = 3, kv_len: int = 5,
                 dtype: type = np.float32) -> None:
        random = np.random.default_rng(seed)

        def normal(*shape: int) -> np.ndarray:
            return random.standard_normal(shape).astype(dtype)

        self.query = normal(batch, 4, q_len, 8)
        self.key = normal(batch, 2, kv_len, 8)
        self.value = normal(batch, 2, kv_len, 6)

    def inputs(self) -> list[triton.InferInput]:
        return [infer_input("Q", self.query), infer_input("K", self.key), infer_input("V", self.value)]

    def step(self, row: int) -> list[triton.InferInput]:
        """Token `row` alone."""
        return [infer_input(name, array[:, :, row:row + 1])
                for name, array in (("Q", self.query), ("K", self.key), ("V", self.value))]

    def expected(self, allowed: np.ndarray | None = None) -> np.ndarray:
        """The output in f64; `allowed` broadcasts to [B, 4, q_len, kv_len]."""
        key, value = (np.repeat(array.astype(np.float64), 2, axis=1) for array in (self.key, self.value))
        scores = self.query.astype(np.float64) @ key.swapaxes(-1, -2) / np.sqrt(8)
        if allowed is not None:
            scores = np.where(allowed, scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True) @ value

    def expected_causal(self) -> np.ndarray:
        """Row i sees keys up to i."""
        return self.expected(np.tril(np.ones((self.query.shape[2], self.key.shape[2]), bool)))


class ServerTest(unittest.TestCase):
    """Its class has one server at `address`, with `flags`."""

    flags: tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = cls.enterClassContext(Server(os.environ["SERVER_UNDER_TEST"], *cls.flags))
        cls.address = cls.server.address()

    @classmethod
    def tearDownClass(cls) -> None:
        assert cls.server.stop() == 0, "the server must drain"

    def assert_close(self, found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
        self.assertEqual(found.shape, expected.shape)
        np.testing.assert_allclose(found.astype(np.float64), expected, atol=tolerance, rtol=0)
