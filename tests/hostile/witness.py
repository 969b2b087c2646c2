"""A good client beside an attack. It calls without a pause and looks at the
server's memory; when the attack is over, it tells what was wrong."""

from __future__ import annotations

import threading
import time
import urllib.request

import attnserve
import numpy as np

import process
from server import Server

# An answer takes about 1 ms; the attacker has a core of its own on two.
ANSWER_WITHIN_SECONDS = 5.0
CALM_WITHIN_SECONDS = 20.0
SPARE_DESCRIPTORS = 8
MIB = 1 << 20


class Witness:
    """A context manager around one attack. AssertionError at its end where the
    server died, let the witness wait, took more than `max_extra_bytes` of
    memory, kept descriptors, or lost count of its calls."""

    def __init__(self, server: Server, max_extra_bytes: int = 64 * MIB,
                 answer_within_seconds: float = ANSWER_WITHIN_SECONDS) -> None:
        self._server = server
        # Instrumented code takes several times as long.
        self._answer_within_seconds = answer_within_seconds * (8 if process.is_sanitized(server.pid) else 1)
        self._max_extra_bytes = max_extra_bytes
        self.slowest_seconds = 0.0
        self.most_extra_bytes = 0
        self._failure: Exception | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._call)

    def __enter__(self) -> Witness:
        self._bytes = process.resident_bytes(self._server.pid)
        self._ask(1)  # What the first call costs is not the attack's.
        self._bytes = process.resident_bytes(self._server.pid)
        self.most_extra_bytes = 0
        self._descriptors = process.descriptors(self._server.pid)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        if kind is None:
            self._judge()

    def _ask(self, times: int | None = None) -> None:
        one = np.ones((1, 1, 1, 8), np.float32)
        with attnserve.Client(self._server.address(), retry=attnserve.RetryPolicy(max_attempts=1)) as client:
            while times != 0 and not self._is_over.is_set():
                started = time.monotonic()
                client.attend(one, one, one, timeout=self._answer_within_seconds)
                self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - started)
                self.most_extra_bytes = max(self.most_extra_bytes,
                                            process.grown_bytes(self._server.pid, self._bytes))
                times = None if times is None else times - 1

    def _call(self) -> None:
        try:
            self._ask()
        except Exception as failure:  # pylint: disable=broad-exception-caught
            self._failure = failure

    def _judge(self) -> None:
        assert self._failure is None, f"a good client was refused or kept waiting: {self._failure!r}"
        assert self.most_extra_bytes <= self._max_extra_bytes, \
            f"{self.most_extra_bytes / MIB:.0f} MiB more than before, not {self._max_extra_bytes / MIB:.0f}"
        pid = self._server.pid
        assert process.becomes_true(
            lambda: process.descriptors(pid) <= self._descriptors + SPARE_DESCRIPTORS, CALM_WITHIN_SECONDS), \
            f"{process.descriptors(pid)} descriptors, {self._descriptors} before"
        self._is_over.clear()
        self._ask(3)
        assert process.becomes_true(lambda: books_balance(self._server), CALM_WITHIN_SECONDS), "calls were lost"


def metrics(server: Server) -> dict[str, float]:
    """/metrics by series name with its labels."""
    with urllib.request.urlopen(f"http://{server.http_address()}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def total(values: dict[str, float], family: str) -> float:
    return sum(value for name, value in values.items() if name.partition("{")[0] == family)


def books_balance(server: Server) -> bool:
    """Every call that was started was handled, every task that was admitted has ended."""
    values = metrics(server)
    assert all(value >= 0 for value in values.values())
    return total(values, "grpc_server_started_total") == total(values, "grpc_server_handled_total") \
        and total(values, "attn_admitted_tasks_total") == total(values, "attn_tasks_total") \
        and values["attn_queue_depth"] == values["attn_inflight_bytes"] == 0
