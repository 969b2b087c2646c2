"""Attention as a service: the client of attnserve.

    import numpy as np
    import attnserve

    with attnserve.Client("127.0.0.1:8001") as client:
        response = client.attend(query, key, value, causal="top_left")

Tensors are NumPy arrays or torch tensors, and answers are of the same kind.
"""

from attnserve import aio, errors
from attnserve._channel import RetryPolicy, Tls
from attnserve.client import Client
from attnserve.default_client import connect
from attnserve.errors import AttnError
from attnserve.forward import ForwardRequest, ForwardResponse, ForwardResult, LayerSpec
from attnserve.functional import scaled_dot_product_attention
from attnserve.layer import Layer
from attnserve.merging import PartialAnswer, merge
from attnserve.rendezvous import resolve_addresses
from attnserve.request import AttendRequest, Rope
from attnserve.response import AttendResponse, AttendResult, Timing, TopWeights
from attnserve.session import Session
from attnserve.session_state import SessionSpec, SessionState
from attnserve.sharded_client import LostSession, ShardedClient
from attnserve.split_context import SplitContext

__version__ = "0.1.0"

__all__ = [
    "AttendRequest", "AttendResponse", "AttendResult", "AttnError", "Client", "ForwardRequest", "ForwardResponse",
    "ForwardResult", "Layer", "LayerSpec", "LostSession", "PartialAnswer", "RetryPolicy", "Rope", "Session",
    "SessionSpec", "SessionState", "ShardedClient", "SplitContext", "Timing", "Tls", "TopWeights", "aio", "connect",
    "errors", "merge", "resolve_addresses", "scaled_dot_product_attention",
]
