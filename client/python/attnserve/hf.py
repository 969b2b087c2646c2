"""Hugging Face transformers with attention, and if wanted the KV cache, on a server.

    attnserve.connect("127.0.0.1:8001")
    with attnserve.hf.SessionCache(model) as cache:
        model.generate(**inputs, past_key_values=cache)

One argument more than without. `register` and attn_implementation "attnserve" alone
leave keys and values in the model's own cache, and send all of them with every step.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from transformers import AttentionInterface, PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from attnserve._tensor import dtype_name
from attnserve.client import Client
from attnserve.default_client import default_client
from attnserve.errors import NotFoundError
from attnserve.response import AttendResponse
from attnserve.session import Session

NAME = "attnserve"


def register(client: Client | None = None, name: str = NAME) -> None:
    """Makes `name` an attention implementation of transformers, computed by
    `client`, or else by that of `connect` or ATTN_TARGET at the time of each
    call. Models with softcap (Gemma) and sinks (gpt-oss) are served, too."""

    def forward(module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                attention_mask: torch.Tensor | None, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
        options = _options(module, query, attention_mask, kwargs)
        layer = _pending.take(key)
        response = (layer.attend(query, key, value, options) if layer is not None
                    else (client or default_client()).attend(query, key, value, **options))
        return response.output.transpose(1, 2).contiguous(), response.weights

    AttentionInterface.register(name, forward)
    AttentionMaskInterface.register(name, sdpa_mask)


def _options(module: torch.nn.Module, query: torch.Tensor, mask: torch.Tensor | None,
             kwargs: dict[str, Any]) -> dict[str, Any]:
    """Of Client.attend, from what models hand to an attention function."""
    if kwargs.get("dropout", 0.0) != 0:
        raise NotImplementedError(f"dropout must be 0: attnserve drops nothing; got {kwargs['dropout']}")
    if kwargs.get("position_bias") is not None:
        raise NotImplementedError("position_bias is not served")
    is_causal = kwargs.get("is_causal")
    is_causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    sinks = kwargs.get("s_aux")
    return {
        "attn_mask": mask, "scale": kwargs.get("scaling"), "softcap": kwargs.get("softcap") or 0.0,
        "sinks": () if sinks is None else sinks.flatten().tolist(),
        # Where sdpa_mask leaves the mask out, rows are to see what came before them.
        "causal": "top_left" if is_causal and mask is None and query.shape[2] > 1 else None,
        "weights": "probabilities" if kwargs.get("output_attentions") else None,
    }


class SessionCache(Cache):
    """A KV cache whose keys and values live in sessions of the server, one session
    for each sequence of the batch; a context manager that deletes them.

    The model attends on the server from then on, as after
    set_attn_implementation("attnserve"). Each step sends the new tokens alone. Layers with a sliding window are right, but keep all tokens.
    Beam search and rollbacks (crop) are forks and truncations of sessions.
    Thread-compatible.
    """

    def __init__(self, model: PreTrainedModel, client: Client | None = None, **spec: Any) -> None:
        """`spec`: kv_dtype (default: the keys' own), max_length, idle_ttl as in
        Client.create_session. Raises ValueError for a model whose attention
        cannot be replaced."""
        if NAME not in AttentionInterface():
            register()
        model.set_attn_implementation(NAME)
        config = model.config.get_text_config(decoder=True)
        if config._attn_implementation != NAME:
            raise ValueError(f"{type(model).__name__} does not let its attention be replaced by {NAME}; "
                             f"it stays {config._attn_implementation}")
        self._client = client or default_client()
        self._spec = {"num_layers": config.num_hidden_layers, **spec}
        self._sessions: list[Session] = []
        super().__init__(layers=[_SessionLayer(self, n) for n in range(config.num_hidden_layers)])

    def __enter__(self) -> SessionCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    @property
    def sessions(self) -> Sequence[Session]:
        """One for each sequence; none before the first step."""
        return self._sessions

    def close(self) -> None:
        """Deletes the sessions; the cache is empty then."""
        self._keep([])
        for layer in self.layers:
            layer.length = 0

    def reset(self) -> None:
        self.close()

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        self._keep(beam_idx.tolist())

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        rows = torch.arange(len(self._sessions))
        self._keep(rows[indices.cpu()].tolist())

    def batch_repeat_interleave(self, repeats: int) -> None:
        self._keep([row for row in range(len(self._sessions)) for _ in range(repeats)])

    def _keep(self, rows: list[int]) -> None:
        """The sessions of these sequences, in this order: those that come again
        are forked, those that do not are deleted."""
        kept: set[int] = set()
        sessions = []
        for row in rows:
            sessions.append(self._sessions[row].fork() if row in kept else self._sessions[row])
            kept.add(row)
        dropped = [session for row, session in enumerate(self._sessions) if row not in kept]
        self._sessions = sessions
        for session in dropped:
            with contextlib.suppress(NotFoundError):  # Expired meanwhile.
                session.delete()

    def _open(self, key: torch.Tensor, value: torch.Tensor) -> None:
        """Sessions for the first step's keys [B, num_kv_heads, tokens, head_dim]."""
        spec = {"kv_dtype": dtype_name("key", key), **self._spec}
        if spec["kv_dtype"] == "f64":
            spec["kv_dtype"] = "f32"
        while len(self._sessions) < key.shape[0]:
            self._sessions.append(self._client.create_session(
                num_kv_heads=key.shape[1], head_dim=key.shape[3], value_head_dim=value.shape[3], **spec))

    def _attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layer: int,
                options: dict[str, Any]) -> AttendResponse:
        if not self._sessions:
            self._open(key, value)
        if len(self._sessions) != query.shape[0]:
            raise ValueError(f"the cache holds {len(self._sessions)} sequences; got a batch of {query.shape[0]}")
        if len(self._sessions) == 1:  # By itself it is retried, and a proxy can route it.
            return self._sessions[0].attend(query, key, value, layer=layer, **options)
        mask = options.pop("attn_mask")
        requests = [session.request(query[b:b + 1], key[b:b + 1], value[b:b + 1], layer=layer,
                                    attn_mask=None if mask is None else mask[b % len(mask)], **options)
                    for b, session in enumerate(self._sessions)]
        answers = [result.unwrap() for result in self._client.attend_batch(requests)]
        for session, answer in zip(self._sessions, answers):
            session.applied(layer, answer.session_length)
        weights = [answer.weights for answer in answers if answer.weights is not None]
        return AttendResponse(torch.cat([answer.output for answer in answers]),
                              weights=torch.cat(weights) if weights else None)


class _SessionLayer(CacheLayerMixin):
    """One layer of a SessionCache: `update` leaves a note for the attention
    function, which appends and attends in one call."""

    is_sliding = False
    is_croppable = True

    def __init__(self, cache: SessionCache, index: int) -> None:
        super().__init__()
        self._cache = cache
        self._index = index
        self.length = 0
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        pass

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor,
               *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        _pending.put(self, key_states)
        self.length += key_states.shape[2]
        return key_states, value_states

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
               options: dict[str, Any]) -> AttendResponse:
        return self._cache._attend(query, key, value, self._index, options)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        return self.length

    def get_max_length(self) -> int:
        return -1

    def crop(self, tokens_to_remove: int) -> None:
        if tokens_to_remove > 0:
            raise ValueError(f"crop takes the tokens to remove as a negative number; got {tokens_to_remove}")
        self.length += tokens_to_remove
        for session in self._cache.sessions if tokens_to_remove else ():
            session.truncate(self.length, layer=self._index)


@dataclass
class _Update:
    layer: _SessionLayer
    key: torch.Tensor


class _Pending(threading.local):
    """The update that the attention function of the same thread has yet to carry out."""

    def __init__(self) -> None:
        self._update: _Update | None = None

    def put(self, layer: _SessionLayer, key: torch.Tensor) -> None:
        if self._update is not None:
            self._update = None
            raise RuntimeError(f"a SessionCache needs a model whose attn_implementation is {NAME} in every layer")
        self._update = _Update(layer, key)

    def take(self, key: torch.Tensor) -> _SessionLayer | None:
        """The layer whose new keys these are; None: the keys are all there are."""
        update, self._update = self._update, None
        if update is None:
            return None
        if update.key is not key:
            raise RuntimeError("the model changes keys after its cache took them; a SessionCache cannot serve it")
        return update.layer


_pending = _Pending()
