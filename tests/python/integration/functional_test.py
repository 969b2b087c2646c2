"""scaled_dot_product_attention with NumPy arrays: shapes, masks, refusals. That
it is PyTorch's is proven by tests/interop/python/sdpa_test.py."""

import numpy as np
import pytest

import attention
import attnserve
from attnserve import default_client
from attnserve import scaled_dot_product_attention as sdpa


@pytest.fixture(autouse=True)
def server(address):
    attnserve.connect(address)


@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 3), (2, 2, 3), (1, 2, 1, 3)])
def test_any_number_of_leading_axes(tensors, lead):
    query, key, value = tensors((*lead, 4, 8), (*lead, 5, 8), (*lead, 5, 6))
    found = sdpa(query, key, value, is_causal=True)
    assert found.shape == (*lead, 4, 6) and found.dtype == np.float32
    flat = [array.reshape(-1, 1, *array.shape[-2:]) for array in (query, key, value)]
    np.testing.assert_allclose(found.reshape(-1, 1, 4, 6), attention.attend(*flat, offset=0), atol=attention.TOLERANCE)


@pytest.mark.parametrize("leads", [
    ((2, 3), (1, 3), (1, 3)), ((2, 1), (2, 3), (2, 3)), ((3,), (2, 3), (2, 3)), ((2, 3), (), ()),
    ((1, 1), (2, 1), (1, 3)), ((2, 3), (2, 1), (2, 1)), ((2, 3), (2, 3), (1,)), ((), (), (2, 2, 2))])
def test_leading_axes_broadcast(tensors, leads):
    arrays = tensors(*((*lead, 4, 8) for lead in leads))
    full = np.broadcast_shapes(*leads)
    whole = [np.broadcast_to(array, (*full, 4, 8)) for array in arrays]
    np.testing.assert_array_equal(sdpa(*arrays), sdpa(*whole))


@pytest.mark.parametrize("heads", [(4, 2, 2), (4, 1, 1), (4, 2, 4), (4, 1, 2), (6, 3, 2)])
def test_groups_of_heads(tensors, heads):
    query, key, value = tensors(*((2, n, 4, 8) for n in heads))
    repeated = [np.repeat(array, heads[0] // array.shape[1], axis=1) for array in (key, value)]
    np.testing.assert_array_equal(sdpa(query, key, value, enable_gqa=True), sdpa(query, *repeated))


@pytest.mark.parametrize("shape", [(4, 5), (1, 5), (4, 1), (1, 1), (3, 4, 5), (1, 4, 5), (2, 1, 4, 5), (2, 3, 1, 5)])
def test_masks_broadcast(tensors, shape):
    query, key, value, mask = tensors((2, 3, 4, 8), (2, 3, 5, 8), (2, 3, 5, 8), shape)
    whole = np.broadcast_to(mask, (2, 3, 4, 5))
    np.testing.assert_array_equal(sdpa(query, key, value, mask), sdpa(query, key, value, whole))
    as_float = np.where(mask > 0, 0, -np.inf).astype(np.float32)
    np.testing.assert_allclose(sdpa(query, key, value, mask > 0), sdpa(query, key, value, as_float),
                               atol=attention.TOLERANCE)
    five = [array[None].repeat(2, 0) for array in (query, key, value)]
    np.testing.assert_array_equal(sdpa(*five, mask)[1], sdpa(query, key, value, mask))


def test_mask_of_five_axes(tensors):
    query, key, value, mask = tensors((2, 3, 2, 4, 8), (2, 3, 2, 5, 8), (2, 3, 2, 5, 8), (2, 1, 1, 4, 5))
    found = sdpa(query, key, value, mask)
    for n in range(2):
        np.testing.assert_array_equal(found[n], sdpa(query[n], key[n], value[n], mask[n, 0]))


@pytest.mark.parametrize("scale", [0.3, -0.3, 0.0, 1e-300])
def test_scale_of_f64_counts_to_the_last_digit(tensors, scale):
    query, key, value = (array.astype(np.float64) for array in tensors((1, 1, 4, 8), (1, 1, 5, 8), (1, 1, 5, 8)))
    expected = attention.attend(query * scale * np.sqrt(8), key, value)
    np.testing.assert_allclose(sdpa(query, key, value, scale=scale), expected, atol=1e-14)
    single = [array.astype(np.float32) for array in (query, key, value)]
    np.testing.assert_allclose(sdpa(*single, scale=scale), expected, atol=attention.TOLERANCE)


@pytest.mark.parametrize("shapes", [
    ((0, 2, 3, 4), (0, 2, 5, 4), (0, 2, 5, 6)), ((2, 0, 3, 4), (2, 0, 5, 4), (2, 0, 5, 6)),
    ((2, 2, 0, 4), (2, 2, 5, 4), (2, 2, 5, 6)), ((2, 2, 3, 4), (2, 2, 0, 4), (2, 2, 0, 6)),
    ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 0))])
def test_empty_tensors_give_zeros(tensors, shapes):
    found = sdpa(*tensors(*shapes))
    assert found.shape == (*shapes[0][:3], shapes[2][3]) and not found.any()


def test_heads_of_no_width_average(tensors):
    query, key, value = tensors((2, 3, 0), (2, 5, 0), (2, 5, 6))
    np.testing.assert_allclose(sdpa(query, key, value)[:, 0], value.mean(1), atol=attention.TOLERANCE)


@pytest.mark.parametrize("arguments, error, words", [
    ({"dropout_p": 0.1}, NotImplementedError, "dropout_p must be 0"),
    ({"attn_mask": np.ones((3, 5), bool), "is_causal": True}, RuntimeError, "is_causal"),
    ({"scale": np.nan}, ValueError, "scale must be finite"),
    ({"attn_mask": np.ones(5, bool)}, RuntimeError, "at least 2 axes"),
    ({"attn_mask": np.ones((3, 4), bool)}, RuntimeError, r"broadcast to \[2, 4, 3, 5\]; got \[3, 4\]"),
    ({"attn_mask": np.ones((1, 1, 1, 3, 5), bool)}, RuntimeError, "broadcast to"),
    ({"attn_mask": np.ones((3, 5))}, RuntimeError, "attn_mask must be bool, f32"),
    ({"attn_mask": np.ones((3, 5), np.int32)}, RuntimeError, "got i32"),
    ({"enable_gqa": True, "shapes": ((2, 4, 3, 8), (2, 3, 5, 8), (2, 3, 5, 8))}, RuntimeError, "must divide"),
    ({"enable_gqa": True, "shapes": ((3, 8), (5, 8), (5, 8))}, RuntimeError, "needs heads"),
    ({"shapes": ((2, 4, 3, 8), (2, 2, 5, 8), (2, 2, 5, 8))}, RuntimeError, "do not broadcast"),
    ({"shapes": ((8,), (8,), (8,))}, RuntimeError, "at least 2 axes"),
    ({"shapes": ((3, 8), (5, 7), (5, 8))}, RuntimeError, "do not fit"),
    ({"shapes": ((3, 8), (5, 8), (6, 8))}, RuntimeError, "do not fit"),
    ({"dtypes": ("f4", "f8", "f4")}, RuntimeError, "one dtype; got f32, f64, f32"),
    ({"dtypes": ("i4", "i4", "i4")}, TypeError, "query must be f32")])
def test_refusals(tensors, arguments, error, words):
    shapes = arguments.pop("shapes", ((2, 4, 3, 8), (2, 4, 5, 8), (2, 4, 5, 8)))
    dtypes = arguments.pop("dtypes", ("f4", "f4", "f4"))
    arrays = [array.astype(dtype) for array, dtype in zip(tensors(*shapes), dtypes)]
    with pytest.raises(error, match=words):
        sdpa(*arrays, **arguments)


def test_server_comes_from_the_environment(monkeypatch, address, tensors):
    arrays = tensors((2, 8), (2, 8), (2, 8))
    monkeypatch.setattr(default_client, "_client", None)
    monkeypatch.delenv("ATTN_TARGET", raising=False)
    with pytest.raises(RuntimeError, match="ATTN_TARGET"):
        sdpa(*arrays)
    monkeypatch.setenv("ATTN_TARGET", address)
    expected = sdpa(*arrays)
    with attnserve.Client(address) as client:
        monkeypatch.setenv("ATTN_TARGET", "")
        np.testing.assert_array_equal(sdpa(*arrays, client=client), expected)
