"""Options that every kind of request has: as an argument, and as it is sent."""

import numpy as np

OPTIONS = {
    "attn_mask": (np.ones((2, 2), bool), lambda m: m.attn_mask.data == b"\1" * 4 and m.attn_mask.dtype == 5),
    "kv_lengths": (np.array([2]), lambda m: list(m.kv_lengths) == [2]),
    "return_lse": (True, lambda m: m.output.return_lse),
    "weights": ("probabilities", lambda m: m.output.weights == 4),
    "top_k": (3, lambda m: m.output.top_k == 3),
    "session_id": ("s", lambda m: m.session.session_id == "s"),
    "priority": ("high", lambda m: m.priority == 3),
    "request_id": ("me", lambda m: m.request_id == "me"),
}
