"""ggml, which llama.cpp computes with: its flash attention, and its matrix products
with a softmax over values that are kept transposed."""

from __future__ import annotations

import numpy as np

from ggml_library import Context, Ggml
from peer import THREADS, Way
from problem import Problem

# Of a context, besides the tensors' data.
OVERHEAD_BYTES = 64 << 20


def _flash(ggml: Ggml, context: Context, query: np.ndarray, problem: Problem) -> tuple[int, tuple[int, ...]]:
    tensors = [context.tensor(array) for array in (query, problem.key, problem.value)]
    output = ggml.base.ggml_flash_attn_ext(context.pointer, *tensors, None, problem.scale, 0.0, 0.0)
    _, heads, rows, dim = query.shape
    return output, (1, rows, heads, dim)


def _products(ggml: Ggml, context: Context, query: np.ndarray, problem: Problem) -> tuple[int, tuple[int, ...]]:
    transposed = np.ascontiguousarray(problem.value.swapaxes(2, 3))
    rows, keys, values = (context.tensor(array) for array in (query, problem.key, transposed))
    scores = ggml.base.ggml_mul_mat(context.pointer, keys, rows)
    weights = ggml.base.ggml_soft_max_ext(context.pointer, scores, None, problem.scale, 0.0)
    return ggml.base.ggml_mul_mat(context.pointer, values, weights), query.shape


class GgmlPeer:
    """Has copies of the problem's arrays."""

    name = "ggml"

    def __init__(self) -> None:
        self._ggml = Ggml(THREADS)
        self.version = self._ggml.version

    def ways(self, problem: Problem) -> dict[str, Way]:
        ways = {"flash_attn_ext": self._way(_flash, problem.query, problem),
                "mul_mat, soft_max, mul_mat": self._way(_products, problem.folded_query(), problem)}
        if problem.group > 1:
            ways["flash_attn_ext, heads as rows"] = self._way(_flash, problem.folded_query(), problem)
        return ways

    def _way(self, build, query: np.ndarray, problem: Problem) -> Way:
        scores = query.shape[1] * query.shape[2] * problem.key.shape[2] * 4
        size = 2 * (query.nbytes + scores) + problem.key.nbytes + problem.value.nbytes + OVERHEAD_BYTES
        context = Context(self._ggml, size)
        output, shape = build(self._ggml, context, query, problem)
        graph = self._ggml.base.ggml_new_graph(context.pointer)
        self._ggml.base.ggml_build_forward_expand(graph, output)

        def run() -> np.ndarray:
            self._ggml.compute(graph)
            answer = context.view(output, shape)
            # Flash attention gives [length, heads, dim].
            by_heads = answer if build is _products else answer.swapaxes(1, 2)
            return by_heads.reshape(problem.query.shape)

        return run
