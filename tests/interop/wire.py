"""A Case as an AttendRequest, and an AttendResponse as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from case import DTYPES, Case, Rope, dtype_name
from client import Client


@dataclass
class Answer:
    """What came back, [B, heads, length, dim] whatever the layout."""

    output: np.ndarray
    lse: np.ndarray | None
    weights: np.ndarray | None
    top_indices: np.ndarray | None
    top_probabilities: np.ndarray | None


def to_layout(array: np.ndarray, layout: str) -> np.ndarray:
    if layout == "bhsd":
        return array
    array = array.swapaxes(1, 2)
    return array if layout == "bshd" else array.reshape(*array.shape[:2], array.shape[2] * array.shape[3])


def from_layout(array: np.ndarray, layout: str, heads: int) -> np.ndarray:
    if layout == "bhsd":
        return array
    if layout == "bse":
        array = array.reshape(*array.shape[:2], heads, array.shape[2] // heads)
    return array.swapaxes(1, 2)


class Codec:
    """Requests and responses of one generated client."""

    def __init__(self, client: Client) -> None:
        self._types, self._attention = client.types, client.attention

    def tensor(self, array: np.ndarray, true_byte: int = 1):
        dtype = dtype_name(array)
        stored = array.astype(np.uint8) * np.uint8(true_byte) if dtype == "bool" else array
        return self._types.Tensor(dtype=f"DATA_TYPE_{dtype.upper()}", shape=array.shape,
                                  data=np.ascontiguousarray(stored).tobytes())

    def array(self, tensor) -> np.ndarray:
        name = self._types.DataType.Name(tensor.dtype).removeprefix("DATA_TYPE_").lower()
        return np.frombuffer(tensor.data, DTYPES[name]).reshape(tuple(tensor.shape))

    def request(self, case: Case):
        _, num_q_heads, num_kv_heads, *_ = case.shape
        request = self._attention.AttendRequest(
            request_id=f"{case.seed}/{case.index}", layout=f"LAYOUT_{case.layout.upper()}",
            params=self._params(case), kv_lengths=case.kv_lengths)
        for name in ("query", "key", "value"):
            array = to_layout(getattr(case, name), case.layout)
            getattr(request, name).CopyFrom(self.tensor(array))
        if case.layout == "bse":
            request.num_q_heads, request.num_kv_heads = num_q_heads, num_kv_heads
        if case.mask is not None:
            # Any byte but 0 is true.
            request.attn_mask.CopyFrom(self.tensor(case.mask, 1 + case.index % 255))
        if case.output_dtype is not None:
            request.output.dtype = self._types.DataType.Value(f"DATA_TYPE_{case.output_dtype.upper()}")
        request.output.return_lse = case.return_lse
        request.output.weights = self._types.WeightsMode.Value(f"WEIGHTS_{case.weights.upper()}")
        request.output.top_k = case.top_k
        return request

    def _params(self, case: Case):
        given = {name: getattr(case, name)
                 for name in ("scale", "causal_offset", "left_window", "right_window", "alibi_slopes", "sinks")
                 if getattr(case, name) is not None}
        if case.rope is not None:
            given["rope"] = self._rope(case.rope)
        return self._types.AttentionParams(causal=f"CAUSAL_{case.causal.upper()}", softcap=case.softcap, **given)

    def _rope(self, rope: Rope):
        message = self._types.RopeParams(
            base=rope.base, rotary_dim=rope.rotary_dim, interleaved=rope.interleaved,
            scaling_factor=rope.scaling_factor, positions=rope.positions, key_positions=rope.key_positions)
        if rope.cos is not None and rope.sin is not None:
            message.cos.CopyFrom(self.tensor(rope.cos))
            message.sin.CopyFrom(self.tensor(rope.sin))
        return message

    def answer(self, case: Case, response) -> Answer:
        def field(message, name: str) -> np.ndarray | None:
            return self.array(getattr(message, name)) if message.HasField(name) else None

        output = from_layout(self.array(response.output), case.layout, case.shape[1])
        return Answer(output, field(response, "lse"), field(response, "weights"),
                      field(response.top, "indices"), field(response.top, "probabilities"))
