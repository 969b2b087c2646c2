"""What a call asks for: every field of attn.v1.AttendRequest under its own name.

proto/attn/v1 states shapes, defaults and errors in full. Enums are short
lower-case names: CAUSAL_TOP_LEFT is "top_left".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from attnserve._tensor import Array

Layout = Literal["bhsd", "bshd", "bse"]
Causal = Literal["none", "top_left", "bottom_right"]
Weights = Literal["none", "raw_scores", "softcapped", "biased", "probabilities"]
Priority = Literal["low", "normal", "high"]
FloatDtype = Literal["f32", "f16", "bf16", "f64"]


@dataclass(frozen=True)
class Rope:
    """Rotary embedding of the query and of newly sent keys (RopeParams)."""

    base: float = 0.0
    """Base of the frequencies, e.g. 10000; 0: no rotation unless `cos` and `sin`."""
    rotary_dim: int = 0
    """Leading channels that turn; 0: head_dim."""
    interleaved: bool = False
    """Pairs (0,1), (2,3), ... (GPT-J) instead of halves (Llama)."""
    scaling_factor: float = 0.0
    """Divides the position; 0: 1."""
    cos: Array | None = None
    """Table in place of `base`: [max_position, rotary_dim / 2], f32 or the query's dtype."""
    sin: Array | None = None
    """As `cos`."""
    positions: Sequence[int] = ()
    """[q_len], of each query row; empty: counted."""
    key_positions: Sequence[int] = ()
    """Of each key sent; empty: `positions`, or else counted."""


@dataclass(frozen=True, eq=False)
class AttendRequest:
    """One attention problem. Tensors are NumPy arrays or torch tensors; they are
    read when the request is sent, and never changed."""

    query: Array
    """[B, num_q_heads, q_len, head_dim] in layout "bhsd"; f32, f16, bf16 or f64."""
    key: Array | None = None
    """[B, num_kv_heads, kv_len, head_dim], the query's dtype. With a session: appended first, any float."""
    value: Array | None = None
    """[B, num_kv_heads, kv_len, value_head_dim], as `key`."""
    layout: Layout | None = None
    """Axes of query, key, value, output: "bhsd" (default), "bshd" [B, length, heads, dim]
    or "bse" [B, length, heads * dim]."""
    num_q_heads: int = 0
    """Required for "bse", else 0."""
    num_kv_heads: int = 0
    """Required for "bse", else 0."""
    attn_mask: Array | None = None
    """Bool (True may attend) or float (added); broadcasts to [B, num_q_heads, q_len, kv_len]."""
    kv_lengths: Sequence[int] = ()
    """[B] valid keys of each sequence; empty: all."""
    scale: float | None = None
    """Multiplies q . k, rounded to f32; None: 1 / sqrt(head_dim)."""
    causal: Causal | None = None
    """"top_left" (PyTorch's is_causal), "bottom_right" (the last row sees the last key) or None."""
    causal_offset: int | None = None
    """Position of query row 0; None: that of `causal`."""
    left_window: int | None = None
    """Keys a row sees before its own position; None: all."""
    right_window: int | None = None
    """Keys a row sees behind its own position; None: all."""
    softcap: float = 0.0
    """s becomes softcap * tanh(s / softcap); 0: off."""
    alibi_slopes: Sequence[float] = ()
    """[num_q_heads], or empty for none."""
    sinks: Sequence[float] = ()
    """[num_q_heads] further logits in the denominators, or empty."""
    rope: Rope | None = None
    """Rotary embedding; None: off."""
    output_dtype: FloatDtype | None = None
    """None: the query's."""
    return_lse: bool = False
    """Also the log-sum-exp of every row: what `merge` needs."""
    weights: Weights | None = None
    """Also the weights, at this stage; None: not."""
    top_k: int = 0
    """Also the largest weights of each row and their keys, at most 1024; 0: not."""
    session_id: str = ""
    """Keys and values kept on the server; empty: stateless."""
    layer: int = 0
    """Of the session."""
    expected_length: int | None = None
    """Tokens in the layer before this call's append. With it a repeated append is
    harmless; without it one is never retried."""
    priority: Priority | None = None
    """None: "normal"."""
    request_id: str = ""
    """Echoed; at most 256 bytes."""


class RequestOptions(TypedDict, total=False):
    """What every kind of request takes, as keyword arguments."""

    attn_mask: Array | None
    kv_lengths: Sequence[int]
    causal: Causal | None
    causal_offset: int | None
    output_dtype: FloatDtype | None
    return_lse: bool
    weights: Weights | None
    top_k: int
    expected_length: int | None
    priority: Priority | None
    request_id: str


class AttendOptions(RequestOptions, total=False):
    """AttendRequest's options as keyword arguments, but for the session's."""

    layout: Layout | None
    num_q_heads: int
    num_kv_heads: int
    scale: float | None
    left_window: int | None
    right_window: int | None
    softcap: float
    alibi_slopes: Sequence[float]
    sinks: Sequence[float]
    rope: Rope | None
