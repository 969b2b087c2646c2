"""What a session is and holds: attn.v1.SessionSpec and attn.v1.Session."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

KvDtype = Literal["f32", "bf16", "f16", "int8"]


@dataclass(frozen=True)
class SessionSpec:
    """Fixed when the session is created."""

    num_layers: int
    num_kv_heads: int
    head_dim: int
    value_head_dim: int = 0
    """0: head_dim."""
    kv_dtype: KvDtype | None = None
    """The dtype in which keys and values are kept; None: "f32"."""
    max_length: int = 0
    """Tokens per layer; 0: the server's limit."""
    window: int = 0
    """Keep only the newest tokens; 0: all."""
    idle_ttl: float | None = None
    """Seconds without use after which the session is freed; None: the server's."""


@dataclass(frozen=True)
class SessionState:
    """A session as the server sees it."""

    session_id: str
    spec: SessionSpec
    layer_lengths: Sequence[int]
    """[num_layers] tokens ever appended to each layer."""
    kv_bytes: int
    """Of the pages that it refers to."""
    shared_kv_bytes: int
    """The part of kv_bytes that other sessions share."""
    created_at: datetime.datetime
    last_used_at: datetime.datetime
