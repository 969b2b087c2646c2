"""Three real servers whose addresses outlive them, as those of a StatefulSet do."""

from __future__ import annotations

import random
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import attnserve
from server import Server

COUNT = 3
# Longer than a proxy takes to see that a server drains (haproxy.cfg, envoy.yaml).
DRAIN_DELAY = "4s"
WITHIN_SECONDS = 30


_given: set[int] = set()


def free_port() -> int:
    """A port that stays free while its server is away: the system picks ports for
    others from 32768 on. Each once."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given.add(port)
            return port


def wait_until(is_true: Callable[[], bool], what: str) -> None:
    """Polls, for at most WITHIN_SECONDS. AssertionError where it stays false."""
    end = time.monotonic() + WITHIN_SECONDS
    while not is_true():
        assert time.monotonic() < end, f"not within {WITHIN_SECONDS} s: {what}"
        time.sleep(0.05)


@dataclass
class Member:
    """One of the servers, running or not."""

    binary: str
    grpc_port: int
    http_port: int
    flags: tuple[str, ...] = ()
    server: Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def start(self) -> None:
        self.server = Server(self.binary, *self.flags, grpc_address=self.address,
                             http_address=f"127.0.0.1:{self.http_port}", drain_delay=DRAIN_DELAY)
        self.server.address()

    def running(self) -> Server:
        assert self.server is not None
        return self.server

    def session_ids(self) -> set[str]:
        """As the server itself says, past any proxy."""
        with attnserve.Client(self.address) as client:
            return {session.session_id for session in client.list_sessions()}

    def admitted_tasks(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/metrics") as page:
            lines = page.read().decode().splitlines()
        return next(int(float(line.split()[1])) for line in lines if line.startswith("attn_admitted_tasks_total "))


@contextmanager
def fleet(binary: str, *flags: str) -> Iterator[list[Member]]:
    """COUNT running servers, which end with the block."""
    members = [Member(binary, free_port(), free_port(), flags) for _ in range(COUNT)]
    try:
        for member in members:
            member.start()
        yield members
    finally:
        for member in members:
            if member.server is not None:
                member.server.__exit__()
