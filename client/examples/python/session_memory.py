"""What sessions cost in memory: by KV dtype, and as forks of one prompt.

  session_memory.py [--target HOST:PORT] [--out session_memory.svg]

Fills 1 to 32 sessions with 512 tokens of 4 KV heads of dim 64 and asks the server
for their bytes; then forks one session as often, each fork with 64 tokens of its own.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np

import attnserve
from line_chart import LineChart

COUNTS = (1, 2, 4, 8, 16, 32)
TOKENS, OWN_TOKENS, HEADS, DIM = 512, 64, 4, 64
SHAPE = {"num_kv_heads": HEADS, "head_dim": DIM}
MIB = 1 << 20


def tokens(count: int) -> np.ndarray:
    """Keys, or values, of that many tokens."""
    return np.random.default_rng(count).standard_normal((1, HEADS, count, DIM), np.float32)


def separate(client: attnserve.Client, kv_dtype: str) -> list[float]:
    """MiB of each count of sessions that share nothing."""
    sessions: list[attnserve.Session] = []
    found = []
    for count in COUNTS:
        while len(sessions) < count:
            sessions.append(client.create_session(kv_dtype=kv_dtype, **SHAPE))
            sessions[-1].append(tokens(TOKENS + OWN_TOKENS), tokens(TOKENS + OWN_TOKENS))
        found.append(memory(sessions))
    for session in sessions:
        session.delete()
    return found


def forked(client: attnserve.Client, kv_dtype: str) -> list[float]:
    """MiB of each count of forks of one prompt, tokens of their own included."""
    sessions: list[attnserve.Session] = []
    found = []
    with client.create_session(kv_dtype=kv_dtype, **SHAPE) as prompt:
        prompt.append(tokens(TOKENS), tokens(TOKENS))
        for count in COUNTS:
            while len(sessions) < count:
                sessions.append(prompt.fork())
                sessions[-1].append(tokens(OWN_TOKENS), tokens(OWN_TOKENS))
            found.append(memory(sessions))
    for session in sessions:
        session.delete()
    return found


def memory(sessions: list[attnserve.Session]) -> float:
    """MiB of their pages, those that all of them share counted once."""
    states = [session.refresh() for session in sessions]
    own = sum(state.kv_bytes - state.shared_kv_bytes for state in states)
    return (own + max(state.shared_kv_bytes for state in states)) / MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="127.0.0.1:8001")
    parser.add_argument("--out", default="session_memory.svg", type=pathlib.Path)
    arguments = parser.parse_args()
    with attnserve.Client(arguments.target) as client:
        lines = {name: separate(client, name) for name in ("f32", "f16", "int8")}
        lines["f16, forks of one"] = forked(client, "f16")
    title = f"Memory of sessions of {TOKENS + OWN_TOKENS} tokens, {HEADS} KV heads of dim {DIM}, one layer"
    chart = LineChart(title, "sessions", "MiB", COUNTS, lines)
    arguments.out.write_text(chart.svg(), encoding="utf-8")
    for name, values in lines.items():
        print(f"{name:18}", *(f"{value:7.2f}" for value in values))


if __name__ == "__main__":
    main()
