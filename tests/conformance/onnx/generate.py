#!/usr/bin/env python3
"""Writes cases.txt and cases.bin from the node test cases of onnx 1.23.

  python3 -m venv /tmp/venv && /tmp/venv/bin/pip install onnx==1.23.0
  /tmp/venv/bin/python generate.py [FOLDER]

README.md describes the two files and says what is left out and why.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

RELEASE = "1.23."
OPERATORS = ("Attention", "RotaryEmbedding")
LAST_OPSET = 25
DTYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "float64": "f64", "bool": "bool", "int64": "i64"}
# K and V after past_key and past_value: the caller's own concatenation.
UNUSED_OUTPUTS = ("present_key", "present_value")
HEADER = """\
# Node test cases of onnx/onnx, release {version}, in another form (generate.py).
# Copyright (c) ONNX Project Contributors. Apache License 2.0.
onnx {version}
cases {cases}
bytes {bytes}
"""


def attribute_line(attribute):
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.type == onnx.AttributeProto.INT:
        return f"attr {attribute.name} int {value}"
    if attribute.type == onnx.AttributeProto.FLOAT:
        return f"attr {attribute.name} float {value:.9g}"
    raise ValueError(f"attribute {attribute.name} is neither an int nor a float")


def named(formal, actual, arrays):
    """{name in the schema: array}; actual has "" where an optional one is absent."""
    present = [parameter.name for parameter, name in zip(formal, actual) if name]
    return dict(zip(present, arrays, strict=True))


def reuses_row_zero(inputs, attributes):
    """NumPy's reference builds the causal triangle for the rows of the mask: one
    row, and every query row is treated as row 0. A window hides the fault."""
    mask = inputs.get("attn_mask")
    if mask is None or not attributes.get("is_causal"):
        return False
    if max(attributes.get(side, -1) for side in ("left_window_size", "right_window_size")) >= 0:
        return False
    return (mask.ndim == 1 or mask.shape[-2] == 1) and inputs["Q"].shape[-2] > 1


class Blob:
    """The arrays' bytes one after the other, equal ones once."""

    def __init__(self):
        self.bytes = bytearray()
        self.offsets = {}

    def offset(self, data):
        if data not in self.offsets:
            self.offsets[data] = len(self.bytes)
            self.bytes += data
        return self.offsets[data]


def tensor_line(role, name, array, blob):
    array = np.ascontiguousarray(array)
    if sys.byteorder != "little":
        array = array.byteswap()
    shape = "x".join(map(str, array.shape))
    return f"{role} {name} {DTYPES[array.dtype.name]} {shape} {blob.offset(array.tobytes())}"


def is_wanted(case):
    nodes = case.model.graph.node
    return (len(nodes) == 1 and nodes[0].domain == "" and nodes[0].op_type in OPERATORS
            and case.model.opset_import[0].version <= LAST_OPSET)


def case_lines(case, blob):
    """The case's part of cases.txt; nothing if its golden is wrong."""
    node, opset = case.model.graph.node[0], case.model.opset_import[0].version
    if (case.rtol, case.atol) != (1e-3, 1e-7) or len(case.data_sets) != 1:
        raise ValueError(f"{case.name}: another tolerance or several data sets: the C++ test knows neither")
    schema = onnx.defs.get_schema(node.op_type, opset, "")
    inputs = named(schema.inputs, node.input, case.data_sets[0][0])
    outputs = named(schema.outputs, node.output, case.data_sets[0][1])
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Attention" and reuses_row_zero(inputs, attributes):
        print(f"left out: {case.name}: causal with a mask of one row")
        return []
    lines = ["", f"case {case.name.removeprefix('test_')} {node.op_type} {opset}"]
    lines += [attribute_line(attribute) for attribute in node.attribute]
    lines += [tensor_line("input", name, array, blob) for name, array in inputs.items()]
    lines += [tensor_line("output", name, array, blob) for name, array in outputs.items()
              if name not in UNUSED_OUTPUTS]
    return lines


def main():
    if not onnx.__version__.startswith(RELEASE):
        sys.exit(f"generate.py needs onnx {RELEASE}x: its goldens are what the server promises; got {onnx.__version__}")
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    blob, parts = Blob(), []
    for case in filter(is_wanted, collect_testcases()):
        lines = case_lines(case, blob)
        if lines:
            parts.append(lines)
    header = HEADER.format(version=onnx.__version__, cases=len(parts), bytes=len(blob.bytes))
    body = "".join(line + "\n" for lines in parts for line in lines)
    (folder / "cases.txt").write_text(header + body)
    (folder / "cases.bin").write_bytes(blob.bytes)
    print(f"{len(parts)} cases, {len(blob.bytes)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
