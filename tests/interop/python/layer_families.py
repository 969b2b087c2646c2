"""Tiny random models of every family that --layers serves, made and saved by
transformers, and what their own attention modules answer.

The modules run eagerly with the weights as f64; transformers rounds to f32 within
them alone where it takes softmax. Angles of the rotary embedding are recomputed in
f64 from its own frequencies.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from peers.torch_loader import torch
from transformers import (BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM,
                          MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
                          Qwen3ForCausalLM)

HIDDEN, HEADS, LAYERS = 48, 6, 2
_DECODER = {"vocab_size": 16, "hidden_size": HIDDEN, "intermediate_size": 8, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "num_key_value_heads": 2, "max_position_embeddings": 64,
            "initializer_range": 0.2}
_ENCODER = {"vocab_size": 16, "hidden_size": HIDDEN, "intermediate_size": 8, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "initializer_range": 0.2}


@dataclass(frozen=True)
class Family:
    """A model and how its attention is found and called."""

    model: Callable[[Any], Any]
    config: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)
    window: int = 0
    is_causal: bool = True


def _llama(**rope: Any) -> Family:
    return Family(LlamaForCausalLM, LlamaConfig, {**_DECODER, "rope_parameters": {"rope_theta": 10000.0, **rope}})


FAMILIES = {
    "llama": _llama(rope_type="default"),
    "llama-bias": Family(LlamaForCausalLM, LlamaConfig, {**_DECODER, "attention_bias": True}),
    "llama-wide-heads": Family(LlamaForCausalLM, LlamaConfig, {**_DECODER, "head_dim": 20}),
    "llama-linear": _llama(rope_type="linear", factor=3.0),
    "llama-llama3": _llama(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                           original_max_position_embeddings=16),
    "llama-yarn": _llama(rope_type="yarn", factor=4.0, original_max_position_embeddings=16),
    "mistral-window": Family(MistralForCausalLM, MistralConfig, {**_DECODER, "sliding_window": 5}, window=5),
    "qwen2": Family(Qwen2ForCausalLM, Qwen2Config, dict(_DECODER)),
    "qwen3": Family(Qwen3ForCausalLM, Qwen3Config, {**_DECODER, "head_dim": 12}),
    "bert": Family(BertModel, BertConfig, dict(_ENCODER), is_causal=False),
    "gpt2": Family(GPT2LMHeadModel, GPT2Config,
                   {"vocab_size": 16, "n_embd": HIDDEN, "n_head": HEADS, "n_layer": LAYERS, "n_positions": 64,
                    "n_inner": 8, "initializer_range": 0.2, "bos_token_id": 0, "eos_token_id": 0}),
}


def make_model(family: Family) -> Any:
    """With weights of f32 values, biases and norms too, the same in every run."""
    torch.manual_seed(20261122)
    model = family.model(family.config(**family.options, attn_implementation="eager")).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.copy_(torch.rand_like(parameter) + 0.5)
    return model


def save(model: Any, folder: pathlib.Path) -> None:
    model.save_pretrained(folder)


class Reference:
    """The attention modules of a model, in f64. It becomes the model's only use."""

    def __init__(self, family: Family, model: Any) -> None:
        self._family = family
        # Modules that are turned to f64 lose the frequencies' digits no more than f32 did.
        self._model = model.double()

    def output(self, index: int, hidden: np.ndarray, is_causal: bool | None = None) -> np.ndarray:
        """[B, tokens, hidden_dim] of layer `index`."""
        states = torch.from_numpy(hidden.astype(np.float64))
        causal = self._family.is_causal if is_causal is None else is_causal
        mask = self._mask(hidden.shape[1], causal)
        with torch.no_grad():
            return self._call(index, states, mask).numpy()

    def _call(self, index: int, states: Any, mask: Any) -> Any:
        if self._family.model is BertModel:
            attention = self._model.encoder.layer[index].attention
            # What follows in the module adds the residual and normalises.
            return attention.output.dense(attention.self(states, attention_mask=mask)[0])
        if self._family.model is GPT2LMHeadModel:
            return self._model.transformer.h[index].attn(states, attention_mask=mask)[0]
        attention = self._model.model.layers[index].self_attn
        return attention(states, position_embeddings=self._rope(states.shape[1]), attention_mask=mask)[0]

    def _rope(self, tokens: int) -> tuple[Any, Any]:
        rotary = self._model.model.rotary_emb
        angles = torch.arange(tokens, dtype=torch.float64)[:, None] * rotary.inv_freq.double()
        angles = torch.cat((angles, angles), dim=-1)[None]
        return angles.cos() * rotary.attention_scaling, angles.sin() * rotary.attention_scaling

    def _mask(self, tokens: int, causal: bool) -> Any:
        rows, keys = np.ogrid[:tokens, :tokens]
        allowed = np.ones((tokens, tokens), bool)
        if causal:
            allowed &= keys <= rows
        if self._family.window:
            allowed &= rows - keys < self._family.window
        return torch.from_numpy(np.where(allowed, 0.0, -np.inf))[None, None]
