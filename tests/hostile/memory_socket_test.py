"""The Unix socket of shared memory, which takes one packet a connection."""

from __future__ import annotations

import os
import pathlib
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import process
import pytest
from server import Server
from witness import Witness

# 2^20 as field 1 of a RegionRequest.
MEBIBYTE_PLEASE = b"\x08\x80\x80\x40"
CONNECTIONS = 400
MAX_CONNECTIONS = 256  # MemorySocket::kMaxConnections.


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("memory") / "attn.sock")


@pytest.fixture(scope="module")
def server(binary: str, path: str) -> Iterator[Server]:
    with Server(binary, "--shared-memory-socket", path, "--shared-memory", "8MiB") as server:
        server.address()
        yield server
        assert server.stop() == 0
        assert not pathlib.Path(path).exists()


def connect(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(20)
    connection.connect(path)
    return connection


def grant(connection: socket.socket) -> tuple[bytes, list[int]]:
    """The answer and its descriptors; b"" when the server hung up."""
    connection.send(MEBIBYTE_PLEASE)
    answer, files, _, _ = socket.recv_fds(connection, 4096, 4)
    return answer, files


def is_served(path: str) -> bool:
    try:
        with connect(path) as connection:
            answer, files = grant(connection)
    except OSError:  # Hung up on: there is no room.
        return False
    for file in files:
        os.close(file)
    return bool(answer) and len(files) == 1


def test_garbage_is_hung_up_on(attacked: Server, path: str) -> None:
    dice = random.Random(7)
    for _ in range(300):
        with connect(path) as connection:
            try:
                connection.send(dice.randbytes(dice.randrange(1, 4096)))
                for file in socket.recv_fds(connection, 4096, 4)[1]:
                    os.close(file)
            except ConnectionError:
                pass
    assert is_served(path)


@pytest.mark.parametrize("size", [b"\x08\x00", b"\x08" + b"\xff" * 9 + b"\x01", b"\x08\x80\x80\x80\x80\x10"])
def test_a_size_that_cannot_be_is_refused(attacked: Server, path: str, size: bytes) -> None:
    with connect(path) as connection:
        connection.send(size)
        assert not socket.recv_fds(connection, 4096, 4)[1]
    assert is_served(path)


def test_descriptors_that_are_sent_along_are_not_kept(attacked: Server, path: str) -> None:
    before = process.descriptors(attacked.pid)
    with open("/dev/null", "rb") as null:
        for _ in range(100):
            with connect(path) as connection:
                socket.send_fds(connection, [MEBIBYTE_PLEASE], [null.fileno()] * 8)
    assert process.becomes_true(lambda: process.descriptors(attacked.pid) <= before + 2, 20)


def test_connections_that_say_nothing_are_bounded_and_forgotten(server: Server, path: str) -> None:
    before = process.descriptors(server.pid)
    with Witness(server):
        with ExitStack() as opened:
            for _ in range(CONNECTIONS):
                opened.enter_context(connect(path))
            assert process.descriptors(server.pid) <= before + MAX_CONNECTIONS + 16
        assert process.becomes_true(lambda: is_served(path), 20)


def test_regions_end_with_their_connections(attacked: Server, path: str) -> None:
    for _ in range(4):
        with ExitStack() as opened:
            held = [opened.enter_context(connect(path)) for _ in range(8)]
            for connection in held:
                answer, files = grant(connection)
                assert answer and len(files) == 1
                os.close(files[0])
            with connect(path) as one_too_many:
                assert not grant(one_too_many)[1]
        assert process.becomes_true(lambda: is_served(path), 20)
