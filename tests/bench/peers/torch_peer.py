"""PyTorch: scaled_dot_product_attention, and matrix products with a softmax."""

from __future__ import annotations

import pathlib
import sys

import numpy as np

from peer import THREADS, Way
from problem import Problem

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "interop/peers"))
from torch_loader import torch  # noqa: E402

sdpa = torch.nn.functional.scaled_dot_product_attention


class TorchPeer:
    """Over the problem's own memory."""

    name = "torch"
    version = torch.__version__

    def __init__(self) -> None:
        torch.set_num_threads(THREADS)
        torch.set_grad_enabled(False)

    def ways(self, problem: Problem) -> dict[str, Way]:
        query, folded, key, value = (torch.from_numpy(array) for array in (
            problem.query, problem.folded_query(), problem.key, problem.value))
        shape = problem.query.shape

        def products() -> np.ndarray:
            scores = torch.matmul(folded * problem.scale, key.transpose(-1, -2))
            return torch.matmul(torch.softmax(scores, -1), value).numpy().reshape(shape)

        ways: dict[str, Way] = {"sdpa, heads as rows": lambda: sdpa(folded, key, value).numpy().reshape(shape),
                                "matmul, softmax, matmul": products}
        if problem.group > 1:
            ways["sdpa, enable_gqa"] = lambda: sdpa(query, key, value, enable_gqa=True).numpy()
        return ways
