"""ONNX Runtime: ONNX's Attention, and its own MultiHeadAttention and
GroupQueryAttention, each a model of one node."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from peer import THREADS, Way
from problem import Problem

OPSET, IR_VERSION = 24, 11
OWN_DOMAIN = "com.microsoft"
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int32): TensorProto.INT32}

Arrays = dict[str, np.ndarray]


def _model(op: str, domain: str, inputs: Arrays, outputs: list[str], attributes: dict[str, int]) -> bytes:
    node = helper.make_node(op, list(inputs), outputs, domain=domain, **attributes)
    graph = helper.make_graph(
        [node], "problem",
        [helper.make_tensor_value_info(name, TYPES[array.dtype], array.shape) for name, array in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(OWN_DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()


def _session(op: str, domain: str, inputs: Arrays, outputs: list[str],
             **attributes: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(_model(op, domain, inputs, outputs, attributes), options,
                                        providers=["CPUExecutionProvider"])


def _rows_of_heads(array: np.ndarray) -> np.ndarray:
    """[1, heads, length, dim] as [1, length, heads * dim]."""
    _, heads, length, dim = array.shape
    return np.ascontiguousarray(array.swapaxes(1, 2)).reshape(1, length, heads * dim)


def _heads_of_rows(array: np.ndarray, heads: int) -> np.ndarray:
    _, length, width = array.shape
    return array.reshape(1, length, heads, width // heads).swapaxes(1, 2)


def _attention(query: np.ndarray, problem: Problem) -> Way:
    inputs = {"query": query, "key": problem.key, "value": problem.value}
    session = _session("Attention", "", inputs, ["output"])
    return lambda: session.run(None, inputs)[0].reshape(problem.query.shape)


def _multi_head(problem: Problem) -> Way:
    heads = problem.key.shape[1]
    inputs = {"query": _rows_of_heads(problem.folded_query()), "key": problem.key, "value": problem.value}
    session = _session("MultiHeadAttention", OWN_DOMAIN, inputs, ["output"], num_heads=heads)
    return lambda: _heads_of_rows(session.run(None, inputs)[0], heads).reshape(problem.query.shape)


def _group_query(problem: Problem) -> Way:
    """A decode step whose past and present are the same buffers: the last token
    is written to where it already stands, and nothing else is copied."""
    _, num_q_heads, _, _ = problem.query.shape
    _, num_kv_heads, kv_len, _ = problem.key.shape
    inputs = {"query": _rows_of_heads(problem.query),
              "key": _rows_of_heads(problem.key[:, :, -1:]), "value": _rows_of_heads(problem.value[:, :, -1:]),
              "past_key": problem.key, "past_value": problem.value,
              "seqlens_k": np.array([kv_len - 1], np.int32), "total_sequence_length": np.array([kv_len], np.int32)}
    session = _session("GroupQueryAttention", OWN_DOMAIN, inputs, ["output", "present_key", "present_value"],
                       num_heads=num_q_heads, kv_num_heads=num_kv_heads)
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in inputs.items()}
    binding = session.io_binding()
    for name, value in values.items():
        binding.bind_ortvalue_input(name, value)
    binding.bind_output("output")  # The first: outputs are found in this order.
    binding.bind_ortvalue_output("present_key", values["past_key"])
    binding.bind_ortvalue_output("present_value", values["past_value"])

    def run() -> np.ndarray:
        session.run_with_iobinding(binding)
        return _heads_of_rows(binding.get_outputs()[0].numpy(), num_q_heads)

    return run


class OnnxRuntimePeer:
    """Reads the problem's arrays in place."""

    name = "ort"
    version = onnxruntime.__version__

    def __init__(self) -> None:
        onnxruntime.set_default_logger_severity(4)

    def ways(self, problem: Problem) -> dict[str, Way]:
        ways = {"Attention": _attention(problem.query, problem), "MultiHeadAttention": _multi_head(problem)}
        if problem.group > 1:
            ways["Attention, heads as rows"] = _attention(problem.folded_query(), problem)
            ways["GroupQueryAttention"] = _group_query(problem)
        return ways
