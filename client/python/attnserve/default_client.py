"""The client of calls that name none, as PyTorch's functional calls do."""

from __future__ import annotations

import os
import threading
from typing import Any

from attnserve.client import Client

_lock = threading.Lock()
_client: Client | None = None


def connect(target: str, **options: Any) -> Client:
    """Makes the default client, with the arguments of Client; the one before is
    closed. Thread-safe."""
    global _client  # pylint: disable=global-statement
    client = Client(target, **options)
    with _lock:
        before, _client = _client, client
    if before is not None:
        before.close()
    return client


def default_client() -> Client:
    """That of `connect`, or else one of the environment's ATTN_TARGET. Raises
    RuntimeError where there is neither."""
    global _client  # pylint: disable=global-statement
    with _lock:
        if _client is None:
            target = os.environ.get("ATTN_TARGET")
            if not target:
                raise RuntimeError('no server: call attnserve.connect("HOST:PORT") or set ATTN_TARGET')
            _client = Client(target)
        return _client
