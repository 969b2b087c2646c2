"""merge makes the whole of its parts, whatever they are."""

import numpy as np
import pytest

from attnserve import AttendResponse, PartialAnswer, merge

RANDOM = np.random.default_rng(20261121)
INF = np.inf


def answer(scores, values, sinks=None):
    """Softmax of scores [B, H, L, S] over values [B, H, S, D], in f64."""
    sinks = np.full(scores.shape[1], -INF) if sinks is None else np.asarray(sinks)
    with np.errstate(divide="ignore"):
        lse = np.log(np.exp(scores).sum(3) + np.exp(sinks)[:, None])
    weights = np.exp(scores - lse[..., None]) if scores.shape[3] else scores
    return PartialAnswer(weights @ values, lse)


def problem(keys=9):
    return RANDOM.standard_normal((2, 3, 4, keys)), RANDOM.standard_normal((2, 3, keys, 5))


def parts_of(scores, values, cuts):
    return [answer(scores[..., begin:end], values[:, :, begin:end]) for begin, end in zip(cuts, cuts[1:])]


@pytest.mark.parametrize("cuts", [(0, 9), (0, 4, 9), (0, 1, 2, 9), tuple(range(10))])
def test_any_partition_merges_to_the_whole(cuts):
    scores, values = problem()
    whole, merged = answer(scores, values), merge(parts_of(scores, values, cuts))
    np.testing.assert_allclose(merged.output, whole.output, atol=1e-14)
    np.testing.assert_allclose(merged.lse, whole.lse, atol=1e-14)


def test_one_part_comes_back_with_its_values():
    part = answer(*problem())
    merged = merge([part])
    np.testing.assert_array_equal(merged.output, part.output)
    np.testing.assert_array_equal(merged.lse, part.lse)


def test_merged_answers_merge_again():
    scores, values = problem()
    parts = parts_of(scores, values, (0, 2, 5, 9))
    nested = merge([merge(parts[:2]), parts[2]])
    np.testing.assert_allclose(nested.output, merge(parts).output, atol=1e-14)


def test_sinks_join_the_denominator():
    scores, values = problem()
    sinks = [0.5, -1.0, 2.0]
    whole, merged = answer(scores, values, sinks), merge(parts_of(scores, values, (0, 4, 9)), sinks=sinks)
    np.testing.assert_allclose(merged.output, whole.output, atol=1e-14)
    np.testing.assert_allclose(merged.lse, whole.lse, atol=1e-14)


def test_part_without_keys_counts_for_nothing_not_even_its_nan():
    part = answer(*problem())
    blind = PartialAnswer(np.full_like(part.output, np.nan), np.full_like(part.lse, -INF))
    for parts in ([part, blind], [blind, part]):
        merged = merge(parts)
        np.testing.assert_array_equal(merged.output, part.output)
        np.testing.assert_array_equal(merged.lse, part.lse)
    nothing = merge([blind, blind], sinks=[1.0, 1.0, 1.0])
    assert not nothing.output.any() and (nothing.lse == -INF).all()


@pytest.mark.parametrize("lse", [np.nan, INF])
def test_nan_is_not_lost(lse):
    part = answer(*problem())
    bad = PartialAnswer(part.output, part.lse.copy())
    bad.lse[0, 0, 0] = lse
    merged = merge([part, bad])
    assert np.isnan(merged.output[0, 0, 0]).all() and np.isfinite(merged.output[0, 0, 1:]).all()


def test_huge_lse_keeps_the_weights():
    outputs = [np.full((1, 1, 1, 1), value) for value in (1.0, 3.0)]
    merged = merge([PartialAnswer(output, np.full((1, 1, 1), 1e30)) for output in outputs])
    assert merged.output.item() == 2.0 and merged.lse.item() == 1e30


@pytest.mark.parametrize("layout", ["bshd", "bse"])
def test_layouts(layout):
    def turn(part):
        output = part.output.swapaxes(1, 2)
        return PartialAnswer(output if layout == "bshd" else output.reshape(2, 4, 15), part.lse)

    parts = parts_of(*problem(), (0, 4, 9))
    expected = turn(merge(parts)).output
    np.testing.assert_array_equal(merge([turn(part) for part in parts], layout=layout).output, expected)


def test_dtypes_are_those_of_the_parts():
    parts = [AttendResponse(part.output.astype(np.float16), part.lse.astype(np.float32))
             for part in parts_of(*problem(), (0, 4, 9))]
    merged = merge(parts)
    assert (merged.output.dtype, merged.lse.dtype) == (np.float16, np.float32)


def test_torch_stays_torch():
    torch = pytest.importorskip("torch")
    parts = parts_of(*problem(), (0, 4, 9))
    merged = merge([PartialAnswer(torch.from_numpy(part.output).bfloat16(), torch.from_numpy(part.lse))
                    for part in parts])
    assert merged.output.dtype == torch.bfloat16 and merged.lse.dtype == torch.float64


ROW = np.zeros((1, 2, 3, 4), np.float32)
LSE = np.zeros((1, 2, 3), np.float32)


@pytest.mark.parametrize("parts, options, words", [
    ([], {}, "must not be empty"),
    ([PartialAnswer(ROW, None)], {}, r"parts\[0\].lse is required"),
    ([PartialAnswer(ROW, LSE), PartialAnswer(ROW[:, :1], LSE)], {}, r"parts\[1\].output must be like"),
    ([PartialAnswer(ROW, LSE), PartialAnswer(ROW, LSE.astype(np.float64))], {}, r"parts\[1\].lse must be like"),
    ([PartialAnswer(ROW, LSE[:, :, :2])], {}, r"must be \[B, num_q_heads, q_len\]"),
    ([PartialAnswer(ROW, LSE)], {"layout": "bshd"}, "in bshd"),
    ([PartialAnswer(ROW, LSE)], {"layout": "bse"}, "must have 3 axes"),
    ([PartialAnswer(ROW[0], LSE)], {}, "must have 4 axes"),
    ([PartialAnswer(ROW, LSE)], {"layout": "x"}, "layout must be one of"),
    ([PartialAnswer(ROW, LSE)], {"sinks": [1.0]}, "num_q_heads = 2"),
    ([PartialAnswer(ROW, LSE)], {"sinks": [1.0, INF]}, "finite")])
def test_parts_that_do_not_fit_are_refused(parts, options, words):
    with pytest.raises(ValueError, match=words):
        merge(parts, **options)


def test_parts_that_are_no_floats_are_refused():
    with pytest.raises(TypeError, match="f32, f16, bf16 or f64"):
        merge([PartialAnswer(ROW.astype(np.int32), LSE)])
