"""Clients that take their time, or never come to an end: what they hold is little, and others do not notice."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import numpy as np
import pytest
from attnserve._attend_codec import ATTEND
from attnserve.request import AttendRequest
from conftest import StartServer
from http2 import PREFACE, Connection, call_fields, message
from hyperframe.frame import ContinuationFrame, DataFrame, RstStreamFrame, SettingsFrame
from server import Server
from witness import MIB, Witness

CONNECTIONS = 500
INITIAL_WINDOW_SIZE = 4


def attend_message(rows: int) -> bytes:
    """An AttendRequest of one key, whose answer has rows x 256 floats."""
    query, key = np.ones((1, 1, rows, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
    value = np.ones((1, 1, 1, 256), np.float32)
    return ATTEND.encode_request(AttendRequest(query=query, key=key, value=value)).to_bytes()


@pytest.mark.parametrize("greets", [True, False])
def test_connections_that_are_opened_and_abandoned_are_forgotten(attacked: Server, greets: bool) -> None:
    for _ in range(4):
        with ExitStack() as opened:
            for _ in range(CONNECTIONS):
                opened.enter_context(Connection(attacked.address(), greets=greets))


def test_bytes_that_trickle_in_hold_up_nobody(attacked: Server) -> None:
    whole = PREFACE + SettingsFrame(0).serialize()
    with ExitStack() as opened:
        slow = [opened.enter_context(Connection(attacked.address(), greets=False)) for _ in range(100)]
        for number in range(len(whole)):
            for connection in slow:
                connection.send(whole[number:number + 1])
        for connection in slow:
            assert connection.lives()
            block = connection.headers(1, call_fields(), "END_HEADERS").serialize()
            for number in range(len(block) - 1):
                connection.send(block[number:number + 1])


def test_headers_and_messages_that_never_end_hold_up_nobody(attacked: Server) -> None:
    with ExitStack() as opened:
        for number in range(CONNECTIONS):
            connection = opened.enter_context(Connection(attacked.address()))
            if number % 2:
                connection.send(connection.headers(1, call_fields()), ContinuationFrame(1, b""))
            else:
                connection.open(1)
                connection.send(DataFrame(1, message(b"half", 200 << 20)))
                assert connection.lives()


def test_headers_that_never_end_do_not_outlive_the_idle_time(start: StartServer) -> None:
    with Connection(start("--max-connection-idle", "500ms").address()) as connection:
        connection.send(connection.headers(1, call_fields()))
        assert connection.is_hung_up()


def test_calls_that_never_send_a_message_do_not_outlive_the_age(start: StartServer) -> None:
    server = start("--max-connection-age", "500ms", "--max-connection-age-grace", "500ms")
    with Connection(server.address()) as connection:
        connection.open(1)
        assert connection.is_hung_up()


def test_replies_that_nobody_reads_stay_within_the_pool(start: StartServer) -> None:
    # 64 replies of 1 MiB, with a window of 0: they wait in the pool, of which --max-queue-bytes and the largest
    # messages make the bound. The good client's small ones get through beside them.
    server = start("--max-queue-bytes", "16MiB", "--max-request-bytes", "2MiB", "--max-reply-bytes", "2MiB")
    with Witness(server, max_extra_bytes=96 * MIB), Connection(
            server.address(), settings={INITIAL_WINDOW_SIZE: 0}) as connection:
        payload = attend_message(1024)
        for number in range(64):
            connection.ask(2 * number + 1, payload)
        # No data frame may come.
        threading.Event().wait(1)
        assert connection.lives()


def test_a_stream_that_nobody_reads_is_not_read_either(start: StartServer) -> None:
    # 4096 messages whose answers come to 1 GiB.
    server = start()
    with Witness(server, max_extra_bytes=256 * MIB), Connection(
            server.address(), settings={INITIAL_WINDOW_SIZE: 0}) as connection:
        connection.open(1, "/attn.v1.AttentionService/AttendStream")
        frame = DataFrame(1, message(attend_message(256))).serialize()
        connection.socket.settimeout(1)
        for _ in range(4096):
            if not connection.try_send(frame):
                break


def test_a_call_that_is_reset_while_it_waits_is_let_go(attacked: Server) -> None:
    with Connection(attacked.address(), settings={INITIAL_WINDOW_SIZE: 0}) as connection:
        payload = attend_message(64)
        for number in range(200):
            connection.ask(2 * number + 1, payload)
            connection.send(RstStreamFrame(2 * number + 1, error_code=8))
        assert connection.lives()


def test_a_reader_that_begins_again_gets_its_answer(attacked: Server) -> None:
    with Connection(attacked.address(), settings={INITIAL_WINDOW_SIZE: 0}) as connection:
        connection.ask(1, attend_message(8))
        assert connection.lives()
        connection.send(SettingsFrame(0, settings={INITIAL_WINDOW_SIZE: 1 << 20}))
        assert connection.fields(1)["grpc-status"] == "0"
