"""An attention layer of a model as a function, computed by a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnserve import _calls as calls
from attnserve import _layer_calls as layer_calls
from attnserve._calls import CallOptions
from attnserve._layer_calls import LayerOptions
from attnserve._layer_pass import LayerPass
from attnserve._tensor import Array
from attnserve.client import Client
from attnserve.default_client import default_client
from attnserve.forward import LayerSpec
from attnserve.session import Session

if TYPE_CHECKING:
    from typing import Unpack


class Layer:
    """The layer of that name, which the server has loaded (--layers): from hidden
    states to its output, projections included. Thread-safe.

        layer = attnserve.Layer("bert-tiny/0")
        output = layer(hidden)
    """

    def __init__(self, name: str, client: Client | None = None) -> None:
        """client: None: that of `connect` or ATTN_TARGET, looked up at each call."""
        self._name = name
        self._client = client

    @property
    def name(self) -> str:
        return self._name

    def spec(self, **options: Unpack[CallOptions]) -> LayerSpec:
        """What the server has of it. Raises NotFoundError (LAYER_NOT_LOADED)."""
        return (self._client or default_client()).get_layer(self._name, **options)

    def __call__(self, hidden: Array, context: Array | None = None, *, session: Session | None = None,
                 session_layer: int = 0, **options: Unpack[LayerOptions]) -> Array:
        """hidden [..., q_len, hidden_dim] to [..., q_len, output_dim], of hidden's
        library and device, and its dtype unless `output_dtype` says otherwise.

        context [..., kv_len, hidden_dim], the same leading axes: where keys and values
        come from; None: from hidden. session: the projected keys and values go to
        its layer `session_layer`, and hidden attends to all of them; its own client
        is asked then. `options`: those of ForwardRequest, with B the product of the
        leading axes, and CallOptions.

        Raises TypeError, ValueError, and what `Client.forward` raises.
        """
        fields, call = calls.split_options(options)
        work = LayerPass.of(self._name, hidden, context, session, session_layer, fields)
        client = (self._client or default_client()) if session is None else session._client
        return work.finish(client._run(layer_calls.forward(work.request), call))
