"""Layers for asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnserve import _calls as calls
from attnserve import _layer_calls as layer_calls
from attnserve._calls import CallOptions
from attnserve._layer_calls import LayerOptions
from attnserve._layer_pass import LayerPass
from attnserve._tensor import Array
from attnserve.aio.client import Client
from attnserve.aio.session import Session
from attnserve.forward import LayerSpec

if TYPE_CHECKING:
    from typing import Unpack


class Layer:
    """As attnserve.Layer but for `await`, and with a client of its own. Confined to
    the client's event loop."""

    def __init__(self, name: str, client: Client) -> None:
        self._name = name
        self._client = client

    @property
    def name(self) -> str:
        return self._name

    async def spec(self, **options: Unpack[CallOptions]) -> LayerSpec:
        """As attnserve.Layer.spec."""
        return await self._client.get_layer(self._name, **options)

    async def __call__(self, hidden: Array, context: Array | None = None, *, session: Session | None = None,
                       session_layer: int = 0, **options: Unpack[LayerOptions]) -> Array:
        """As attnserve.Layer."""
        fields, call = calls.split_options(options)
        work = LayerPass.of(self._name, hidden, context, session, session_layer, fields)
        client = self._client if session is None else session._client
        return work.finish(await client._run(layer_calls.forward(work.request), call))
