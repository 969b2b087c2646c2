"""A Case as an ONNX model of one Attention node, and RotaryEmbedding before it.

The server's offsets are said in ONNX's own words: 0 is a plain causal node,
kv_len - q_len is nonpad_kv_seqlen, and another one from 0 to kv_len makes the
first keys past_key and past_value.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, helper

from case import Case
from oracle import alibi, rope_positions
from peers.peer import refuse
from wire import to_layout

# Opset 25 adds the windows; the ir_version is one that both readers know.
OPSET, OPSET_WITH_WINDOWS, IR_VERSION = 24, 25, 11
MODES = {"none": 0, "raw_scores": 0, "softcapped": 1, "biased": 2, "probabilities": 3}
# Attention's inputs, by place.
INPUTS = ("query", "key", "value", "mask", "past_key", "past_value", "nonpad")


def build(case: Case) -> tuple[ModelProto, dict[str, np.ndarray]]:
    """The model and what to feed it. Unsupported where ONNX has no words."""
    refuse((case.sinks is not None, "ONNX has no sinks"),
           (case.has_nan, "NaN where masked: 0 * NaN is NaN there"),
           (case.mask is not None and case.mask.dtype not in (np.bool_, case.query.dtype),
            "ONNX wants a float mask of the query's dtype"))
    feeds = {name: to_layout(getattr(case, name), "bse" if case.layout == "bse" else "bhsd")
             for name in ("query", "key", "value")}
    _add_offset(case, feeds)
    _add_mask(case, feeds)
    nodes = [] if case.rope is None else _rope_nodes(case, feeds)
    names = [name if name in feeds else "" for name in INPUTS]
    if case.rope is not None:
        names[:2] = ["rotated_query", "rotated_key"]
    while not names[-1]:
        names.pop()
    outputs = ["output"] if case.weights == "none" else ["output", "", "", "weights"]
    if "past_key" in feeds:
        outputs[1:3] = ["present_key", "present_value"]  # ORT wants them named.
    nodes.append(helper.make_node("Attention", names, outputs, **_attributes(case)))

    dtype = helper.np_dtype_to_tensor_dtype(case.query.dtype)
    graph = helper.make_graph(
        nodes, "case",
        [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), list(array.shape))
         for name, array in feeds.items()],
        [helper.make_tensor_value_info(name, dtype, None) for name in outputs if name])
    opset = OPSET_WITH_WINDOWS if uses_windows(case) else OPSET
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
    return model, feeds


def uses_windows(case: Case) -> bool:
    return case.left_window is not None or case.right_window is not None


def _attributes(case: Case) -> dict[str, object]:
    _, num_q_heads, num_kv_heads, _, kv_len, _, _ = case.shape
    attributes: dict[str, object] = {"is_causal": int(case.causal != "none"), "softcap": case.softcap,
                                     "qk_matmul_output_mode": MODES[case.weights]}
    if case.scale is not None:
        attributes["scale"] = case.scale
    if case.layout == "bse":
        attributes.update(q_num_heads=num_q_heads, kv_num_heads=num_kv_heads)
    for side in ("left", "right"):
        window = getattr(case, f"{side}_window")
        if window is not None:
            attributes[f"{side}_window_size"] = min(window, 2**40)
    return attributes


def _add_offset(case: Case, feeds: dict[str, np.ndarray]) -> None:
    batch, _, _, q_len, kv_len, _, _ = case.shape
    offsets = case.offsets()
    matters = case.causal != "none" or uses_windows(case)
    if case.kv_lengths is not None:
        refuse((matters and offsets != [length - q_len for length in case.kv_lengths],
                "ONNX's offset with nonpad_kv_seqlen is always kv_length - q_len"))
        feeds["nonpad"] = np.array(case.kv_lengths, dtype=np.int64)
    elif matters and offsets[0] == kv_len - q_len != 0:
        feeds["nonpad"] = np.full(batch, kv_len, dtype=np.int64)
    elif matters and offsets[0] != 0:
        refuse((not 0 < offsets[0] <= kv_len, "ONNX has no such offset (past_key has 0 to kv_len tokens)"),
               (case.rope is not None, "rope of keys that are given as past_key"))
        for name in ("key", "value"):
            array = getattr(case, name)
            feeds[f"past_{name}"] = array[:, :, :offsets[0]]
            feeds[name] = to_layout(array[:, :, offsets[0]:], "bse" if case.layout == "bse" else "bhsd")


def _add_mask(case: Case, feeds: dict[str, np.ndarray]) -> None:
    if case.alibi_slopes is None:
        if case.mask is not None:
            feeds["mask"] = case.mask
        return
    refuse((case.dtype in ("f16", "bf16"), "ALiBi as a mask, ONNX's only way, would be rounded to 16 bits"),
           (case.mask is not None, "ALiBi is ONNX's mask, and the case has another one"))
    feeds["mask"] = alibi(case).astype(case.query.dtype)


def _rope_nodes(case: Case, feeds: dict[str, np.ndarray]) -> list:
    rope, (batch, num_q_heads, num_kv_heads, q_len, kv_len, head_dim, _) = case.rope, case.shape
    assert rope is not None
    refuse((case.dtype in ("f16", "bf16"), "RotaryEmbedding rounds to 16 bits before Attention"))
    pairs = (rope.rotary_dim or head_dim) // 2
    nodes = []
    for name, heads, positions in zip(("query", "key"), (num_q_heads, num_kv_heads),
                                      rope_positions(rope, q_len, kv_len)):
        if rope.cos is not None and rope.sin is not None:
            feeds[f"{name}_cos"], feeds[f"{name}_sin"] = (
                table.astype(case.query.dtype) for table in (rope.cos, rope.sin))
            feeds[f"{name}_ids"] = np.broadcast_to(positions, (batch, len(positions))).astype(np.int64)
        else:
            # inv_freq as models write it.
            inverse = 1.0 / np.float64(rope.base) ** (np.arange(0, 2 * pairs, 2) / (2 * pairs))
            angles = np.broadcast_to(np.outer(positions / (rope.scaling_factor or 1.0), inverse),
                                     (batch, len(positions), pairs))
            feeds[f"{name}_cos"], feeds[f"{name}_sin"] = (
                table.astype(case.query.dtype) for table in (np.cos(angles), np.sin(angles)))
        inputs = [name, f"{name}_cos", f"{name}_sin"] + [f"{name}_ids"] * (f"{name}_ids" in feeds)
        attributes = {"num_heads": heads} if case.layout == "bse" else {}
        nodes.append(helper.make_node("RotaryEmbedding", inputs, [f"rotated_{name}"], interleaved=int(rope.interleaved),
                                      rotary_embedding_dim=rope.rotary_dim, **attributes))
    return nodes
