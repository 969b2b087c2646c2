"""A context on several servers: each keeps a part of the tokens, all are asked
at once, and their answers are merged into that of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from attnserve._tensor import Array
from attnserve.client import Client
from attnserve.merging import PartialAnswer, merge
from attnserve.request import Causal, Rope
from attnserve.session import Session


@dataclass
class _Part:
    """What one server keeps: tokens from `begin` on of every layer."""

    session: Session
    begin: int


class SplitContext:
    """One KV-cache session over several clients; a context manager that deletes
    its sessions at the end. Thread-compatible: one call at a time.

    The first client keeps tokens 0 to part_length - 1 of every layer, the second
    one the next part_length, and so on; the last one all that follow. So a server
    sees neighbouring tokens, and its positions are those of the whole less its
    first one.
    """

    def __init__(self, clients: Sequence[Client], part_length: int, *, num_layers: int = 1, num_kv_heads: int,
                 head_dim: int, session_id: str = "", **spec: Any) -> None:
        """Makes a session on every client: session_id, if given, with -0, -1, ...
        behind it. `spec`: value_head_dim, kv_dtype and further arguments of
        Client.create_session, `window` apart. Raises ValueError for no client or
        a part_length below 1, and what create_session raises."""
        if not clients or part_length < 1:
            raise ValueError("at least one client and a part_length of 1 are needed; "
                             f"got {len(clients)} and {part_length}")
        if "window" in spec:
            raise TypeError("window: a part of the context does not know the newest tokens")
        self._part_length = part_length
        self._parts: list[_Part] = []
        self._threads = ThreadPoolExecutor(len(clients), thread_name_prefix="attnserve-split")
        try:
            for n, client in enumerate(clients):
                session = client.create_session(
                    num_layers=num_layers, num_kv_heads=num_kv_heads, head_dim=head_dim,
                    session_id=f"{session_id}-{n}" if session_id else "", **spec)
                self._parts.append(_Part(session, n * part_length))
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Deletes the sessions; what cannot be deleted goes after its idle_ttl."""
        for part in self._parts:
            try:
                part.session.delete()
            except Exception:  # pylint: disable=broad-except
                pass
        self._threads.shutdown()

    def __enter__(self) -> SplitContext:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    @property
    def sessions(self) -> list[Session]:
        return [part.session for part in self._parts]

    def length(self, layer: int = 0) -> int:
        """Tokens in the layer."""
        return sum(part.session.length(layer) for part in self._parts)

    def append(self, key: Array, value: Array, *, layer: int = 0, rope: Rope | None = None) -> int:
        """key [1, num_kv_heads, tokens, head_dim], value [1, num_kv_heads, tokens,
        value_head_dim]: the next tokens, each to the server that it belongs to.
        `rope` turns keys by their place in the whole. Gives the layer's length.

        An error leaves the tokens of the parts before it appended; `length` says
        how many, and the rest can be appended again. Errors as Session.append.
        """
        tokens, at = key.shape[2], self.length(layer)
        if value.shape[2] != tokens:
            raise ValueError(f"key and value must have as many tokens; got {tokens} vs {value.shape[2]}")
        sent = 0
        while sent < tokens:
            n = min(at // self._part_length, len(self._parts) - 1)
            is_last = n == len(self._parts) - 1
            count = tokens - sent if is_last else min(tokens - sent, (n + 1) * self._part_length - at)
            piece = slice(sent, sent + count)
            self._parts[n].session.append(key[:, :, piece], value[:, :, piece], layer=layer,
                                          rope=_rope_of_keys(rope, piece, at))
            sent, at = sent + count, at + count
        return at

    def attend(self, query: Array, *, layer: int = 0, causal: Causal | None = None, causal_offset: int | None = None,
               attn_mask: Array | None = None, sinks: Sequence[float] = (), rope: Rope | None = None,
               **options: Any) -> PartialAnswer:
        """Attention of query [1, num_q_heads, q_len, head_dim] to the whole layer,
        with its lse.

        Positions are those of the whole: causal "bottom_right" lets the last row
        see the last token, "top_left" is refused, since a session's meaning of it
        is that of an append. attn_mask broadcasts to [1, num_q_heads, q_len,
        length]. `options`: scale, left_window, right_window, softcap,
        alibi_slopes, output_dtype, priority, timeout. Raises TypeError for other
        ones, ValueError, and what Session.attend raises.
        """
        unknown = options.keys() - _OPTIONS
        if unknown:
            raise TypeError(f"a split context has no {', '.join(sorted(unknown))}")
        if causal == "top_left":
            raise ValueError("causal must be bottom_right or none; got top_left")
        length, rows = self.length(layer), query.shape[2]
        if causal_offset is None:
            causal_offset = length - rows if causal == "bottom_right" else length
        if rope is not None and len(rope.positions) == 0:
            rope = replace(rope, positions=range(causal_offset, causal_offset + rows))
        futures = []
        for part in self._parts:
            count = part.session.length(layer)
            if count == 0 and part.begin > 0:
                continue  # Nothing there yet; the first part answers for an empty layer.
            mask = None if attn_mask is None else _keys_of_mask(attn_mask, part.begin, count, length)
            futures.append(self._threads.submit(
                part.session.attend, query, layer=layer, causal=causal, causal_offset=causal_offset - part.begin,
                attn_mask=mask, rope=rope, return_lse=True, **options))
        return merge([future.result() for future in futures], sinks=sinks)


_OPTIONS = {"scale", "left_window", "right_window", "softcap", "alibi_slopes", "output_dtype", "priority", "timeout"}


def _rope_of_keys(rope: Rope | None, piece: slice, at: int) -> Rope | None:
    """That of a piece of the keys, which begins at place `at` of the whole."""
    if rope is None:
        return None
    given = rope.key_positions[piece] if len(rope.key_positions) else range(at, at + piece.stop - piece.start)
    return replace(rope, key_positions=given, positions=())


def _keys_of_mask(mask: Array, begin: int, count: int, length: int) -> Array:
    """The columns of a part's keys."""
    if mask.shape[-1] == 1:
        return mask
    if mask.shape[-1] != length:
        raise ValueError(f"attn_mask must have a last axis of 1 or {length}; got {list(mask.shape)}")
    return mask[..., begin:begin + count]
