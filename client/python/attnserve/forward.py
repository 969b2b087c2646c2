"""What a call through an attention layer asks for and answers: every field of
attn.v1.ForwardRequest under its own name, and attn.v1.Layer.

proto/attn/v1/layer.proto states shapes, defaults and errors in full. Enums are
short lower-case names, as in request.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from attnserve._tensor import Array
from attnserve.request import Causal, FloatDtype, Priority, RequestOptions, Weights
from attnserve.response import AttendResponse, Result

WeightFormat = Literal["f32", "f16", "bf16", "int8"]


@dataclass(frozen=True)
class LayerSpec:
    """A layer that the server has loaded (attn.v1.Layer)."""

    name: str
    """"<model>/<index>"."""
    model_type: str
    """As config.json has it: "llama", "bert", ..."""
    index: int
    hidden_dim: int
    output_dim: int
    num_q_heads: int
    num_kv_heads: int
    """Of a session for it, as head_dim."""
    head_dim: int
    causal: Causal
    """Where a request says nothing."""
    window: int
    """Tokens that a row sees, itself included; 0: all."""
    has_rope: bool
    weights: WeightFormat | None
    """The form in which they are kept."""
    weight_bytes: int


@dataclass(frozen=True, eq=False)
class ForwardRequest:
    """One pass of hidden states through a layer. Tensors are NumPy arrays or torch
    tensors; they are read when the request is sent, and never changed."""

    layer: str
    """LayerSpec.name."""
    hidden: Array
    """[B, q_len, hidden_dim]; f32, f16 or bf16. B is 1 with a session."""
    context: Array | None = None
    """[B, kv_len, hidden_dim], hidden's dtype: where keys and values come from; None: from hidden."""
    attn_mask: Array | None = None
    """Bool (True may attend) or float (added); broadcasts to [B, num_q_heads, q_len, kv_len]."""
    kv_lengths: Sequence[int] = ()
    """[B] valid keys of each sequence; empty: all."""
    causal: Causal | None = None
    """None: the layer's own; "none" for a layer that is causal: every key."""
    causal_offset: int | None = None
    """Position of hidden row 0; None: that of `causal`."""
    positions: Sequence[int] = ()
    """[q_len] for the layer's rotary embedding; empty: counted, with a session from its length."""
    output_dtype: FloatDtype | None = None
    """"f32", "f16" or "bf16"; None: hidden's."""
    return_lse: bool = False
    """Also the log-sum-exp of every row."""
    weights: Weights | None = None
    """Also the attention's weights, at this stage; None: not."""
    top_k: int = 0
    """Also the largest weights of each row and their keys, at most 1024; 0: not."""
    session_id: str = ""
    """The projected keys and values are appended to it; empty: stateless."""
    session_layer: int = 0
    """Of the session."""
    expected_length: int | None = None
    """Tokens in the session's layer before this call. With it a repetition is
    harmless; without it a call with a session is never retried."""
    priority: Priority | None = None
    """None: "normal"."""
    request_id: str = ""
    """Echoed; at most 256 bytes."""


class ForwardOptions(RequestOptions, total=False):
    """ForwardRequest's options as keyword arguments, but for the session's."""

    positions: Sequence[int]


@dataclass(frozen=True, eq=False)
class ForwardResponse(AttendResponse):
    """As AttendResponse, of hidden's library; `output` is [B, q_len, output_dim]."""


class ForwardResult(Result[ForwardResponse]):
    """Outcome of one ForwardRequest of a batch: a response or an error."""
