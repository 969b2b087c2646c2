"""Rotary embedding in the two forms that models use, in torch."""

from __future__ import annotations

import numpy as np

from case import Rope
from peers.torch_loader import torch


def rotate_half(x: torch.Tensor) -> torch.Tensor:
    """Llama's: the second half, negated, before the first."""
    half = x.shape[-1] // 2
    return torch.cat([-x[..., half:], x[..., :half]], dim=-1)


def rotate_every_two(x: torch.Tensor) -> torch.Tensor:
    """GPT-J's: neighbours swapped, the odd one negated."""
    return torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).flatten(-2)


def embedding(rope: Rope, positions: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin [positions, dim], each frequency at both of its channels."""
    if rope.cos is not None and rope.sin is not None:
        cos, sin = (torch.from_numpy(table.astype(np.float64))[positions] for table in (rope.cos, rope.sin))
    else:
        inv_freq = 1.0 / float(rope.base) ** (torch.arange(0, dim, 2, dtype=torch.float64) / dim)
        angles = torch.outer(positions.double() / (rope.scaling_factor or 1.0), inv_freq)
        cos, sin = angles.cos(), angles.sin()
    if rope.interleaved:
        return cos.repeat_interleave(2, dim=-1), sin.repeat_interleave(2, dim=-1)
    return torch.cat([cos, cos], dim=-1), torch.cat([sin, sin], dim=-1)


def rotated(rope: Rope, query: torch.Tensor, key: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """query and key with their first rotary_dim channels rotated."""
    rows = rope.positions if rope.positions is not None else range(query.shape[2])
    keys = rope.key_positions
    if keys is None:
        keys = rows if rope.positions is not None and key.shape[2] else range(key.shape[2])
    dim = rope.rotary_dim or query.shape[3]
    rotate = rotate_every_two if rope.interleaved else rotate_half
    results = []
    for x, positions in ((query, rows), (key, keys)):
        cos, sin = embedding(rope, torch.tensor(list(positions), dtype=torch.int64), dim)
        head, tail = x[..., :dim], x[..., dim:]
        results.append(torch.cat([head * cos + rotate(head) * sin, tail], dim=-1))
    return results[0], results[1]
