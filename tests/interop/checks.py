"""The comparisons of one case: answer against oracle, top_k, and peers."""

from __future__ import annotations

import numpy as np

from bounds import Bound, Difference, Tolerance, compare
from case import Case
from oracle import Expected
from peers.peer import PeerAnswer
from wire import Answer


def with_oracle(case: Case, answer: Answer, expected: Expected, bound: Tolerance) -> dict[str, Difference]:
    """By field of the answer."""
    found = {"output": compare("output", answer.output, expected.output, bound.output)}
    for name, actual, asked in (("lse", answer.lse, case.return_lse), ("weights", answer.weights, case.weights != "none"),
                                ("top", answer.top_indices, case.top_k > 0)):
        if asked != (actual is not None):
            found[name] = Difference(np.inf, np.inf, f"{name}: asked for is {asked}, present is {actual is not None}")
    if answer.lse is not None and "lse" not in found:
        found["lse"] = compare("lse", answer.lse, expected.lse, bound.lse)
    if answer.weights is not None and "weights" not in found:
        stage = case.weights
        found["weights"] = compare(f"weights ({stage})", answer.weights, expected.stages[stage], bound.stages[stage])
    if answer.top_indices is not None and answer.top_probabilities is not None and "top" not in found:
        found["top"] = top_lists(case, answer.top_indices, answer.top_probabilities, expected, bound)
    return found


def top_lists(case: Case, indices: np.ndarray, probabilities: np.ndarray, expected: Expected,
              bound: Tolerance) -> Difference:
    """Every list is sorted, of distinct allowed keys, complete, and nothing
    larger was left out. Equal probabilities may come in any order."""
    batch, num_q_heads, _, q_len, _, _, _ = case.shape
    wanted = (batch, num_q_heads, q_len, case.top_k)
    if indices.shape != wanted or probabilities.shape != wanted:
        return Difference(np.inf, np.inf, f"top: shapes {indices.shape} and {probabilities.shape}, not {wanted}")
    worst = Difference()
    for row in np.ndindex(wanted[:3]):
        problem = _one_list(indices[row], probabilities[row], expected.allowed[row])
        if problem:
            return Difference(np.inf, np.inf, f"top{list(row)}: {problem}")
        exact, room = expected.stages["probabilities"][row], bound.stages["probabilities"]
        kept = indices[row][indices[row] >= 0]
        ideal = np.argsort(-exact, kind="stable")[:len(kept)]
        for name, keys in (("probabilities", kept), ("largest", ideal)):
            bound_of_keys = Bound(np.maximum(room.arithmetic[row][keys], room.arithmetic[row][kept]),
                                  room.rounding[row][kept])
            difference = compare(f"top.{name}{list(row)}", probabilities[row][:len(kept)], exact[keys], bound_of_keys)
            worst = worst.merge(difference)
    return worst


def _one_list(indices: np.ndarray, probabilities: np.ndarray, allowed: np.ndarray) -> str:
    count = min(len(indices), int(allowed.sum()))
    kept, padding = indices[:count], indices[count:]
    if (kept < 0).any() or (padding != -1).any() or (probabilities[count:] != 0).any():
        return f"{count} keys are allowed, then -1 and 0 follow; got {indices.tolist()} {probabilities.tolist()}"
    if len(set(kept.tolist())) != count or not allowed[kept].all():
        return f"not distinct allowed keys: {kept.tolist()}"
    if (np.diff(probabilities) > 0).any():
        return f"not sorted: {probabilities.tolist()}"
    return ""


def with_peer(name: str, case: Case, answer: Answer, peer: PeerAnswer, bound: Tolerance,
              peer_bound: Tolerance) -> Difference:
    """The two may differ by both bounds."""
    worst = compare(f"output against {name}", answer.output, peer.output, bound.output + peer_bound.output)
    if peer.lse is not None and answer.lse is not None:
        worst = worst.merge(compare(f"lse against {name}", answer.lse, peer.lse, bound.lse + peer_bound.lse))
    if peer.weights is not None and answer.weights is not None:
        room = bound.stages[case.weights] + peer_bound.stages[case.weights]
        worst = worst.merge(compare(f"weights ({case.weights}) against {name}", answer.weights, peer.weights, room))
    return worst
