"""PyTorch: its SDPA operator, its flex_attention, and its tensor operations put
together as models do."""

from __future__ import annotations

import math
import warnings

import numpy as np

from peers.torch_loader import torch  # Before anything of torch's.

from torch.nn.attention.bias import causal_lower_right
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from case import UNIT_ROUNDOFF, Case
from peers.peer import PeerAnswer, Unsupported, refuse
from peers.torch_rope import rotated

sdpa = torch.nn.functional.scaled_dot_product_attention


def to_torch(array: np.ndarray) -> torch.Tensor:
    """Bits are kept; NumPy's bfloat16 is unknown to torch."""
    array = np.ascontiguousarray(array)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def lengths(case: Case) -> list[int]:
    return case.kv_lengths if case.kv_lengths is not None else [case.shape[4]] * case.shape[0]


class SdpaPeer:
    """scaled_dot_product_attention in the query's own dtype: is_causal,
    causal_lower_right, attn_mask, scale, enable_gqa; kv_lengths by slicing."""

    name = "torch sdpa"
    version = torch.__version__

    def compute(self, case: Case) -> PeerAnswer:
        batch, _, _, q_len, kv_len, _, _ = case.shape
        mask = case.mask
        refuse((case.softcap > 0, "SDPA has no softcap"), (case.alibi_slopes is not None, "SDPA has no ALiBi"),
               (case.sinks is not None, "SDPA has no sinks"),
               (case.left_window is not None or case.right_window is not None, "SDPA has no windows"),
               (case.rope is not None, "SDPA has no rope"),
               (case.has_nan, "NaN where masked: 0 * NaN is NaN there"),
               (case.causal != "none" and case.scale == 0, "SDPA gives NaN for is_causal with scale 0: 0 * -inf"),
               (mask is not None and mask.ndim == 1, "SDPA refuses masks of rank 1"),
               (mask is not None and case.causal != "none", "SDPA refuses is_causal with a mask"),
               (mask is not None and mask.dtype not in (np.bool_, case.query.dtype),
                "SDPA wants a float mask of the query's dtype"),
               (mask is not None and mask.shape[-1] not in (1, kv_len), "SDPA refuses short masks"))
        rows = [self._sequence(case, b, length) for b, length in enumerate(lengths(case))]
        output = torch.cat(rows).double().numpy()
        return PeerAnswer(output, UNIT_ROUNDOFF[case.dtype], case.dtype)

    def _sequence(self, case: Case, b: int, length: int) -> torch.Tensor:
        q_len, offset = case.shape[3], case.offsets()[b]
        query, key, value = (to_torch(array[b:b + 1]) for array in (case.query, case.key, case.value))
        options: dict[str, object] = {}
        if case.causal != "none":
            if offset == 0:
                options["is_causal"] = True
            elif offset == length - q_len:
                options["attn_mask"] = causal_lower_right(q_len, length)
            else:
                raise Unsupported("SDPA has no such causal offset")
        elif case.mask is not None:
            mask = case.mask[b % len(case.mask)][None] if case.mask.ndim == 4 else case.mask
            mask = mask if mask.shape[-1] == 1 else mask[..., :length]
            options["attn_mask"] = to_torch(mask)
        return sdpa(query, key[:, :, :length], value[:, :, :length], scale=case.scale, enable_gqa=True, **options)


def _overflows_in_base_2(mask: np.ndarray | None) -> bool:
    if mask is None or mask.dtype == bool:
        return False
    return bool(np.any(np.isfinite(mask) & (mask < np.finfo(np.float32).min * math.log(2))))


class FlexPeer:
    """flex_attention, not compiled, in f32: score_mod for softcap and ALiBi,
    mask_mod for structure and bool masks; gives lse."""

    name = "torch flex_attention"
    version = torch.__version__

    def compute(self, case: Case) -> PeerAnswer:
        batch, num_q_heads, _, q_len, kv_len, _, _ = case.shape
        refuse((case.index % 4 != 0, "flex_attention is slow uncompiled: one case in four"),
               (case.dtype != "f32", "flex_attention is asked in f32 alone"),
               (case.sinks is not None, "flex_attention has no sinks"),
               (case.rope is not None, "flex_attention has no rope"),
               (case.has_nan, "NaN where masked: 0 * NaN is NaN there"),
               (q_len == 0 or kv_len == 0, "flex_attention refuses lengths of 0"),
               (case.mask is not None and case.mask.shape[-1] not in (1, kv_len), "short masks are not torch's"),
               (_overflows_in_base_2(case.mask), "flex_attention multiplies scores by log2 e: finfo.min overflows"))
        offsets = case.offsets()
        refuse((max(map(abs, offsets)) > 2**40, "positions of torch's int64 would overflow"))
        score_mod, mask_mod = self._modifications(case, torch.tensor(offsets))
        query, key, value = map(to_torch, (case.query, case.key, case.value))
        torch.compiler.reset()  # What was traced for other shapes is in the way.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            block_mask = create_block_mask(mask_mod, batch, num_q_heads, q_len, kv_len, device="cpu")
            output, lse = flex_attention(query, key, value, score_mod=score_mod, block_mask=block_mask,
                                         scale=case.scale, enable_gqa=True, return_lse=True)
        return PeerAnswer(output.numpy(), UNIT_ROUNDOFF["f32"], "f32", lse=lse.numpy())

    def _modifications(self, case: Case, offsets: torch.Tensor):
        full = (*case.query.shape[:3], case.key.shape[2])
        mask = None if case.mask is None else torch.broadcast_to(to_torch(case.mask), full).contiguous()
        slopes = None if case.alibi_slopes is None else to_torch(case.alibi_slopes)
        valid = torch.tensor(lengths(case))
        far = 2**40
        left, right = (far if window is None else min(window, far) for window in (case.left_window, case.right_window))
        right = min(right, 0) if case.causal != "none" else right

        def score_mod(score, b, h, i, j):
            if case.softcap > 0:
                score = case.softcap * torch.tanh(score / case.softcap)
            if slopes is not None:
                score = score + slopes[h] * (j - i - offsets[b])
            if mask is not None and mask.dtype != torch.bool:
                score = score + mask[b, h, i, j]
            return score

        def mask_mod(b, h, i, j):
            ahead = j - i - offsets[b]
            seen = (j < valid[b]) & (ahead <= right) & (-ahead <= left)
            return seen & mask[b, h, i, j] if mask is not None and mask.dtype == torch.bool else seen

        return score_mod, mask_mod


class EagerPeer:
    """Attention as model code writes it, in f64: repeat_kv, masked_fill,
    softmax over the logits and the sink; rotate_half or GPT-J rope."""

    name = "torch eager"
    version = torch.__version__

    def compute(self, case: Case) -> PeerAnswer:
        _, num_q_heads, num_kv_heads, _, kv_len, _, _ = case.shape
        refuse((case.has_nan, "NaN where masked: 0 * NaN is NaN there"),
               (max(map(abs, case.offsets())) > 2**40, "positions of torch's int64 would overflow"))
        query, key, value = (to_torch(array).double() for array in (case.query, case.key, case.value))
        if case.rope is not None:
            query, key = rotated(case.rope, query, key)
        key, value = (x.repeat_interleave(num_q_heads // num_kv_heads, dim=1) for x in (key, value))
        scores = torch.einsum("bhid,bhjd->bhij", query, key) * case.default_scale
        stages = {"raw_scores": scores}
        if case.softcap > 0:
            scores = torch.tanh(scores / case.softcap) * case.softcap
        stages["softcapped"] = scores
        scores = stages["biased"] = self._biased(case, scores)

        logits = scores
        if case.sinks is not None:
            sink = to_torch(case.sinks).double()[None, :, None, None].expand(*scores.shape[:3], 1)
            logits = torch.cat([scores, sink], dim=-1)
        # Rows without a key are NaN to softmax, and 0 to the contract.
        empty = torch.isneginf(scores).all(dim=-1, keepdim=True)
        weights = torch.softmax(logits, dim=-1)[..., :kv_len].masked_fill(empty, 0.0)
        stages["probabilities"] = weights
        lse = torch.logsumexp(logits, dim=-1).masked_fill(empty[..., 0], -torch.inf)
        picked = stages.get(case.weights)
        return PeerAnswer((weights @ value).numpy(), UNIT_ROUNDOFF["f64"], "f64",
                          None if picked is None else picked.numpy(), lse.numpy())

    def _biased(self, case: Case, scores: torch.Tensor) -> torch.Tensor:
        _, _, _, q_len, kv_len, _, _ = case.shape
        far = 2**40
        rows = torch.arange(q_len)[None, :, None] + torch.tensor(case.offsets())[:, None, None]
        ahead = (torch.arange(kv_len) - rows)[:, None]
        if case.alibi_slopes is not None:
            scores = scores + to_torch(case.alibi_slopes).double()[:, None, None] * ahead
        hidden = torch.zeros_like(scores, dtype=torch.bool)
        if case.causal != "none":
            hidden |= ahead > 0
        # What transformers calls sliding_window is left_window + 1.
        hidden |= ahead <= -(min(far, case.left_window if case.left_window is not None else far) + 1)
        hidden |= ahead > min(far, case.right_window if case.right_window is not None else far)
        hidden |= (torch.arange(kv_len) >= torch.tensor(lengths(case))[:, None])[:, None, None]
        if case.mask is not None:
            mask = to_torch(case.mask)
            if mask.shape[-1] not in (1, kv_len):
                missing = kv_len - mask.shape[-1]
                fill = False if mask.dtype == torch.bool else -torch.inf
                mask = torch.cat([mask, mask.new_full((*mask.shape[:-1], missing), fill)], dim=-1)
            if mask.dtype == torch.bool:
                hidden |= ~mask
            else:
                scores = scores + mask.double()
        return scores.masked_fill(hidden, -torch.inf)
