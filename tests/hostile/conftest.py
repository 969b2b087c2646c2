"""Fixtures: a server that everybody attacks, and one of a test's own."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable, Iterator

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests/interop")]
from server import Server  # noqa: E402  pylint: disable=wrong-import-position
from witness import Witness  # noqa: E402  pylint: disable=wrong-import-position

StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def binary() -> str:
    path = os.environ.get("ATTN_SERVER_BINARY", str(ROOT / "build/release/server/attnserve"))
    if not os.path.exists(path):
        pytest.skip(f"{path} is not built")
    return path


@pytest.fixture
def start(binary: str) -> Iterator[StartServer]:
    """start(flag, ...) -> a running server, which must drain cleanly when the test ends."""
    servers: list[Server] = []

    def started(*flags: str) -> Server:
        servers.append(Server(binary, *flags))
        servers[-1].address()
        return servers[-1]

    yield started
    for server in servers:
        assert server.stop() == 0
        server.__exit__()


@pytest.fixture(scope="module")
def server(binary: str) -> Iterator[Server]:
    """One for all attacks of a file: what one of them leaves behind, the next one meets."""
    # gRPC 1.51 does not always notice that a client reset its connection while one of its streams waited for the
    # window to open (one time in 20 here): the stream lives until a ping finds nobody, here soon enough to wait for.
    with Server(binary, "--keepalive-interval", "5s") as server:
        server.address()
        yield server
        assert server.stop() == 0


@pytest.fixture
def attacked(server: Server) -> Iterator[Server]:
    """The server, with a witness who sees to it that it serves others well all the while and afterwards."""
    with Witness(server):
        yield server
