"""The calls of attn.v1.LayerService as values, as _calls.py has the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attnserve import _contract as pb
from attnserve._calls import Call, CallOptions, batch_call, request_call
from attnserve._forward_codec import FORWARD, decode_layer, decode_layer_page
from attnserve.forward import (ForwardOptions, ForwardRequest, ForwardResponse, ForwardResult, LayerSpec,
                               WeightFormat)

T = TypeVar("T")


class LayerOptions(ForwardOptions, CallOptions, total=False):
    """Keyword arguments of `Layer`, besides the session's."""


class ClientForwardOptions(LayerOptions, total=False):
    """Keyword arguments of `Client.forward`."""

    session_id: str
    session_layer: int


def forward(request: ForwardRequest) -> Call[ForwardResponse]:
    return request_call(FORWARD, "/attn.v1.LayerService/Forward", request)


def forward_batch(requests: Sequence[ForwardRequest]) -> Call[list[ForwardResult]]:
    return batch_call(FORWARD, "/attn.v1.LayerService/ForwardBatch", requests)


def list_layers(page_token: str) -> Call[tuple[list[LayerSpec], str]]:
    return _layer_call("ListLayers", pb.ListLayersRequest(page_token=page_token), decode_layer_page)


def get_layer(name: str) -> Call[LayerSpec]:
    return _layer_call("GetLayer", pb.GetLayerRequest(name=name), decode_layer)


def load_layer(name: str, weights: WeightFormat | None) -> Call[LayerSpec]:
    request = pb.LoadLayerRequest(name=name, weights=pb.enum_number("weights", "WeightFormat", weights))
    return _layer_call("LoadLayer", request, decode_layer)


def unload_layer(name: str) -> Call[None]:
    return _layer_call("UnloadLayer", pb.UnloadLayerRequest(name=name), lambda _: None)


def _layer_call(method: str, request: Any, decode: Callable[[bytes], T]) -> Call[T]:
    return Call(f"/attn.v1.LayerService/{method}", request.SerializeToString(), decode)
