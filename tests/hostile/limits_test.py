"""Every bound on connections, tried from its two sides."""

from __future__ import annotations

import resource
import threading
from contextlib import ExitStack

import attnserve
import grpc
import numpy as np
import process
import pytest
from conftest import StartServer
from http2 import CALM, PREFACE, Connection, call_fields
from hyperframe.frame import GoAwayFrame, PingFrame
from witness import MIB, metrics

NO_ERROR = 0
# Settings of RFC 9113.
MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE = 3, 6
STREAM = "/attn.v1.AttentionService/AttendStream"
HEALTH = "/grpc.health.v1.Health/Check"
RESOURCE_EXHAUSTED = "8"


def farewells(connection: Connection) -> list[int]:
    """The error codes of the GOAWAYs that come before the server hangs up."""
    return [frame.error_code for frame in connection.received() if isinstance(frame, GoAwayFrame)]


def test_streams_are_announced_and_one_more_ends_the_connection(start: StartServer) -> None:
    with Connection(start("--max-connection-streams", "128").address()) as connection:
        assert connection.acknowledge()[MAX_CONCURRENT_STREAMS] == 128
        for number in range(128):
            connection.open(2 * number + 1, STREAM)
        assert connection.lives()
        connection.open(257, STREAM)
        assert connection.is_hung_up()


def test_the_129th_call_of_a_good_client_waits_for_the_128(start: StartServer) -> None:
    address = start("--max-connection-streams", "128").address()
    over = threading.Event()

    def hold():
        over.wait()
        yield from ()

    with grpc.insecure_channel(address) as channel:
        held = [channel.stream_stream(STREAM)(hold(), wait_for_ready=True) for _ in range(128)]
        # Initial metadata would only come with an answer: a stream is there once the server counts it.
        last = channel.unary_unary(HEALTH).future(b"", timeout=60, wait_for_ready=True)
        with pytest.raises(grpc.FutureTimeoutError):
            last.result(timeout=1)
        over.set()
        assert last.result()
        assert all(call.code() == grpc.StatusCode.OK for call in held)


def test_an_idle_connection_is_asked_to_go_and_a_busy_one_is_not(start: StartServer) -> None:
    address = start("--max-connection-idle", "300ms").address()
    with Connection(address) as idle, Connection(address) as busy:
        busy.open(1, STREAM)
        assert busy.lives()
        assert farewells(idle)
        assert busy.lives()


def test_an_old_connection_is_asked_to_go_and_its_calls_are_cut_after_the_grace(start: StartServer) -> None:
    address = start("--max-connection-age", "300ms", "--max-connection-age-grace", "300ms").address()
    with Connection(address) as connection:
        connection.open(1, STREAM)
        assert NO_ERROR in farewells(connection)


def test_without_an_age_a_connection_lives_on(start: StartServer) -> None:
    with Connection(start("--max-connection-age", "0s", "--max-connection-idle", "0s").address()) as connection:
        assert not connection.is_hung_up(1)


@pytest.mark.parametrize("beginning", [b"", PREFACE[:10], PREFACE])
def test_a_connection_that_does_not_finish_its_handshake_is_closed(start: StartServer, beginning: bytes) -> None:
    address = start("--handshake-timeout", "300ms").address()
    with Connection(address, greets=False) as silent, Connection(address) as good:
        silent.send(beginning)
        assert silent.is_hung_up()
        assert good.lives()


def test_the_server_pings_a_silent_client(start: StartServer) -> None:
    with Connection(start("--keepalive-interval", "1s").address()) as connection:
        assert connection.first(PingFrame) is not None


def test_a_client_that_pings_too_often_is_told_to_go(start: StartServer) -> None:
    pings = [PingFrame(0, opaque_data=b"attnping")] * 8
    strict, lax = start().address(), start("--min-ping-interval", "0s").address()
    with Connection(strict) as connection:
        connection.send(*pings)
        assert CALM in farewells(connection)
    with Connection(lax) as connection:
        connection.send(*pings)
        assert connection.lives()


def test_metadata_beyond_the_bound_is_refused(start: StartServer) -> None:
    address = start("--max-metadata-bytes", "4KiB").address()
    with Connection(address) as connection:
        assert connection.acknowledge()[MAX_HEADER_LIST_SIZE] == 4096
        connection.send(connection.headers(1, call_fields(HEALTH, [("k", "v" * 5000)]), "END_HEADERS"))
        assert connection.fields(1)["grpc-status"] == RESOURCE_EXHAUSTED
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(HEALTH)
        assert ask(b"", metadata=[("k", "v" * 3000)])
        with pytest.raises(grpc.RpcError, match="exceeds") as refused:
            ask(b"", metadata=[("k", "v" * 5000)])
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_port_whose_descriptors_ran_out_is_served_again(start: StartServer) -> None:
    server = start()
    held = process.descriptors(server.pid)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (96, 96))
    with ExitStack() as opened:
        connections = [opened.enter_context(Connection(server.address())) for _ in range(200)]
        assert connections[-1].is_hung_up()
        assert process.descriptors(server.pid) <= 72
        # The reserve is there for others.
        assert metrics(server)["process_max_fds"] == 96
        assert connections[0].lives()
    assert process.becomes_true(lambda: process.descriptors(server.pid) <= held + 4, 20)
    with Connection(server.address()) as connection:
        assert connection.lives()


def test_messages_that_are_held_half_sent_stay_under_the_quota(start: StartServer) -> None:
    # 24 of 16 MiB are 384 MiB; without a quota all of them are held.
    server = start("--grpc-memory", "64MiB", "--max-request-bytes", "20MiB")
    before = process.resident_bytes(server.pid)
    with ExitStack() as opened:
        for _ in range(24):
            opened.enter_context(Connection(server.address())).hold_message(1, 16 * MIB)
        grown = process.grown_bytes(server.pid, before)
    assert grown < 128 * MIB, f"{grown / MIB:.0f} MiB"
    with attnserve.Client(server.address()) as client:
        one = np.ones((1, 1, 1, 8), np.float32)
        assert client.attend(one, one, one).output.shape == one.shape
