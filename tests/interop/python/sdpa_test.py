"""attnserve.scaled_dot_product_attention against torch's, over random calls.

Each answer has to lie within its bound of the exact one (bounds.py), and within
that and torch's own bound of torch's answer. Errors have to be errors in both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

import attnserve
import bounds
import oracle
from case import UNIT_ROUNDOFF, Case

SEED = 20261121
CALLS = 1500
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "f64": torch.float64}
sdpa = torch.nn.functional.scaled_dot_product_attention


@dataclass
class Call:
    """Arguments of the function."""

    tensors: list[torch.Tensor]
    options: dict[str, object] = field(default_factory=dict)

    def describe(self) -> str:
        shapes = [tuple(tensor.shape) for tensor in self.tensors]
        options = {name: (tuple(value.shape), value.dtype) if isinstance(value, torch.Tensor) else value
                   for name, value in self.options.items()}
        return f"{shapes} {self.tensors[0].dtype} {options}"

    def as_case(self, index: int, dtype: str) -> Case:
        """The same problem as the oracle knows it: four axes, as many KV heads
        as query heads, the scale's sign in the query."""
        query, key, value = self.tensors
        if self.options.get("enable_gqa"):
            key, value = (t.repeat_interleave(query.shape[-3] // t.shape[-3], -3) for t in (key, value))
        lead = torch.broadcast_shapes(*(t.shape[:-2] for t in (query, key, value)))
        batch = math.prod(lead)
        flat = [numpy_of(t.expand(*lead, *t.shape[-2:]).reshape(batch, 1, *t.shape[-2:])) for t in (query, key, value)]
        scale = self.options.get("scale")
        if scale is not None and scale < 0:
            flat[0] = -flat[0]
        mask = self.options.get("attn_mask")
        if mask is not None:
            rows, keys = query.shape[-2], key.shape[-2]
            mask = numpy_of(mask.expand(*lead, rows, keys).reshape(batch, 1, rows, keys))
        return Case(SEED, index, *flat, mask=mask, scale=None if scale is None else abs(scale),
                    causal="top_left" if self.options.get("is_causal") else "none")


def numpy_of(tensor: torch.Tensor) -> np.ndarray:
    """Exact, also of bf16."""
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def random_call(index: int) -> tuple[Call, str]:
    """A function of its number alone; and the dtype's name."""
    random = np.random.default_rng([SEED, index])
    dtype = str(random.choice(list(DTYPES)))
    rows, keys = (int(random.choice([0, 1, 2, 3, 17, 40])) for _ in range(2))
    width, value_width = (int(n) for n in random.choice([1, 3, 8, 16, 33], 2))
    leads, gqa = random_leads(random)
    if rows * keys == 0 and not gqa:
        leads = leads[:1] * 3  # torch broadcasts and checks nothing then.
    generator = torch.Generator().manual_seed(index)
    shapes = [(rows, width), (keys, width), (keys, value_width)]
    tensors = [torch.randn(*lead, *shape, generator=generator, dtype=torch.float64).to(DTYPES[dtype])
               for lead, shape in zip(leads, shapes)]
    options: dict[str, object] = {"enable_gqa": True} if gqa else {}
    if random.random() < 0.4:
        options["scale"] = float(random.choice([0.7, -0.2, 1 / 3, 1.0]))
    kind = random.choice(["none", "causal", "bool", "float"])
    if kind == "causal":
        options["is_causal"] = True
    elif kind != "none":
        score_lead = torch.broadcast_shapes(leads[0], leads[0] if gqa else leads[1])
        options["attn_mask"] = random_mask(random, str(kind), (*score_lead, rows, keys), DTYPES[dtype])
    return Call(tensors, options), dtype


def random_leads(random: np.random.Generator) -> tuple[list[tuple[int, ...]], bool]:
    """Leading axes of query, key and value, and whether heads are grouped."""
    lead = tuple(int(n) for n in random.choice([1, 2, 3], int(random.integers(0, 4))))
    if lead and random.random() < 0.3:
        groups = (int(random.choice([1, 2])), int(random.choice([1, 2])))
        return [(*lead[:-1], 4), (*lead[:-1], groups[0]), (*lead[:-1], groups[1])], True
    if random.random() < 0.3:
        return [tuple(1 if random.random() < 0.4 else n for n in lead)[int(random.integers(0, len(lead) + 1)):]
                for _ in range(3)], False
    return [lead] * 3, False


def random_mask(random: np.random.Generator, kind: str, full: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Some of its axes are 1 and some of the first ones missing; some rows are empty."""
    shape = [1 if random.random() < 0.3 else n for n in full][int(random.integers(0, len(full) - 1)):]
    allowed = torch.from_numpy(random.random(shape) < 0.7)
    if kind == "bool":
        return allowed
    mask_dtype = torch.float32 if random.random() < 0.5 else dtype
    return torch.from_numpy(random.standard_normal(shape)).to(mask_dtype).masked_fill(~allowed, -math.inf)


@pytest.fixture(scope="module", autouse=True)
def connected(address):
    attnserve.connect(address)


@pytest.mark.parametrize("first", range(0, CALLS, 100))
def test_answers_are_torchs(first):
    for index in range(first, first + 100):
        call, dtype = random_call(index)
        found = attnserve.scaled_dot_product_attention(*call.tensors, **call.options)
        expected = sdpa(*call.tensors, **call.options)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype), f"{index}: {call.describe()}"
        if not expected.numel():
            continue
        case = call.as_case(index, dtype)
        exact = oracle.attend(case)
        answers = [numpy_of(answer.reshape(-1, 1, *answer.shape[-2:])) for answer in (found, expected)]
        ours = bounds.tolerance(case, exact, bounds.server_unit(case), dtype).output
        torchs = bounds.tolerance(case, exact, UNIT_ROUNDOFF[dtype], dtype).output
        differences = [bounds.compare("against the oracle", answers[0], exact.output, ours)]
        # Else torch's kernels multiply -inf by a scale below 0: NaN.
        if not call.options.get("is_causal") or call.options.get("scale", 1) > 0:
            differences.append(bounds.compare("against torch", answers[0], answers[1], ours + torchs))
        for difference in differences:
            assert difference.ratio <= 1, f"{index}: {call.describe()}: {difference.where}"


def test_calls_are_of_every_kind():
    """So that the test above cannot lose what it is for."""
    calls = [random_call(index)[0] for index in range(CALLS)]
    for kind in (lambda c: c.options.get("is_causal"), lambda c: c.options.get("enable_gqa"),
                 lambda c: c.options.get("scale", 1) < 0, lambda c: c.tensors[0].ndim == 2,
                 lambda c: c.tensors[0].ndim == 5, lambda c: c.tensors[0].ndim != c.tensors[1].ndim,
                 lambda c: c.options.get("attn_mask") is not None and c.options["attn_mask"].dtype != torch.bool,
                 lambda c: c.tensors[1].shape[-2] == 0):
        assert sum(bool(kind(call)) for call in calls) >= 30


def ones(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.ones(shape, dtype=dtype)


QUERY, KEY = ones(2, 4, 3, 8), ones(2, 4, 5, 8)


@pytest.mark.parametrize("call", [
    Call([ones(8)] * 3), Call([QUERY, ones(2, 2, 5, 8), ones(2, 2, 5, 8)]), Call([QUERY, KEY.double(), KEY]),
    Call([QUERY.int(), KEY.int(), KEY.int()]), Call([QUERY, ones(2, 4, 5, 7), KEY]),
    Call([QUERY, KEY, ones(2, 4, 6, 7)]), Call([QUERY, KEY, KEY], {"is_causal": True, "attn_mask": ones(3, 5).bool()}),
    *[Call([QUERY, KEY, KEY], {"attn_mask": mask}) for mask in (
        ones(5).bool(), torch.tensor(True), ones(3, 4).bool(), ones(2, 2, 3, 5).bool(), ones(1, 2, 4, 3, 5).bool(),
        ones(3, 5).double(), ones(3, 5).half(), ones(3, 5).int())],
    Call([ones(3, 8), ones(5, 8), ones(5, 8)], {"attn_mask": ones(1, 3, 5).bool()}),
    *[Call([QUERY, ones(2, heads, 5, 8), ones(2, heads, 5, 8)], {"enable_gqa": True}) for heads in (3, 8)],
    Call([ones(3, 8), ones(5, 8), ones(5, 8)], {"enable_gqa": True}),
    Call([QUERY, KEY, KEY], {"dropout_p": 1.5})], ids=Call.describe)
def test_errors_are_errors_in_both(call):
    for function in (sdpa, attnserve.scaled_dot_product_attention):
        with pytest.raises((RuntimeError, IndexError, TypeError)):
            function(*call.tensors, **call.options)


def test_gradients_are_refused_not_lost():
    query = QUERY.clone().requires_grad_()
    with pytest.raises(RuntimeError, match="query requires grad"):
        attnserve.scaled_dot_product_attention(query, KEY, KEY)
    with torch.inference_mode():
        attnserve.scaled_dot_product_attention(query, KEY, KEY)
