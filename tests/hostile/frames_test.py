"""Frames that break the rules, one rule each, after gRPC's own list of bad clients (test/core/bad_client)."""

from __future__ import annotations

import socket

import pytest
from http2 import ATTEND, HEAD_BYTES, PREFACE, Connection, call_fields, message
from hyperframe.frame import (ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, PriorityFrame,
                              PushPromiseFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame)
from server import Server

HEALTH = "/grpc.health.v1.Health/Check"


def raw(kind: int, stream: int, body: bytes = b"", flags: int = 0, length: int | None = None) -> bytes:
    """A frame whose fields are as given, whether they fit together or not."""
    size = len(body) if length is None else length
    return size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def hangs_up_after(server: Server, *parts: Frame | bytes, greets: bool = True) -> bool:
    with Connection(server.address(), greets=greets) as connection:
        connection.try_send(*parts)
        return connection.is_hung_up()


@pytest.mark.parametrize("beginning", [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", PREFACE[:-1] + b"X",
    PREFACE.lower(), b"\0" * 1000, b"\xff" * 1000, PREFACE + PREFACE,
    PREFACE + raw(SettingsFrame.type, 1)], ids=lambda beginning: repr(beginning[:12]))
def test_what_is_no_http2_ends_the_connection(attacked: Server, beginning: bytes) -> None:
    assert hangs_up_after(attacked, beginning, greets=False)


@pytest.mark.parametrize("frame", [
    raw(DataFrame.type, 1, length=0x500000), raw(HeadersFrame.type, 1, length=0xffffff),
    raw(SettingsFrame.type, 0, b"12345"), raw(SettingsFrame.type, 0, b"123456", flags=1), raw(SettingsFrame.type, 1),
    raw(SettingsFrame.type, 0, b"\0\4\xff\xff\xff\xff"), raw(PingFrame.type, 0, b"1234567"),
    raw(PingFrame.type, 0, b"123456789"), raw(RstStreamFrame.type, 1, b"123"),
    raw(WindowUpdateFrame.type, 0, b"123"), raw(GoAwayFrame.type, 0, b"1234567"),
    raw(ContinuationFrame.type, 1, b"abc", flags=4), raw(ContinuationFrame.type, 0)],
    ids=lambda frame: f"type {frame[3]}, {int.from_bytes(frame[:3], 'big')} bytes")
def test_a_frame_of_a_wrong_form_ends_the_connection(attacked: Server, frame: bytes) -> None:
    # As many bytes follow as the length claims, for those who believe it.
    claimed = int.from_bytes(frame[:3], "big") - (len(frame) - HEAD_BYTES)
    assert hangs_up_after(attacked, frame, bytes(min(claimed, 1 << 20)))


@pytest.mark.parametrize("frame", [
    raw(0x99, 0, b"abcd"), raw(0x20, 7, b"x" * 1000), raw(PriorityFrame.type, 1, b"\0\0\0\0\5"),
    SettingsFrame(0, settings={0x1234: 5, 0xffff: 0xffffffff}).serialize(),
    raw(DataFrame.type, 99, b"nobody asked"), raw(RstStreamFrame.type, 99, b"\0\0\0\1"),
    raw(WindowUpdateFrame.type, 99, b"\0\0\0\1")], ids=lambda frame: f"type {frame[3]}")
def test_a_frame_that_says_nothing_is_passed_over(attacked: Server, frame: bytes) -> None:
    with Connection(attacked.address()) as connection:
        connection.send(frame)
        assert connection.lives()


@pytest.mark.parametrize("streams", [(0,), (2,), (5, 3), (1, 1), (0x7fffffff, 1)])
def test_a_stream_of_a_wrong_number_harms_nobody(attacked: Server, streams: tuple[int, ...]) -> None:
    with Connection(attacked.address()) as connection:
        for stream in streams:
            block = connection.encoder.encode(call_fields())
            connection.try_send(raw(HeadersFrame.type, stream, block, flags=4))
        connection.try_send(PingFrame(0, opaque_data=b"attnping"))


@pytest.mark.parametrize("fields", [
    [*call_fields(), (":path", "/other")], [*call_fields(), (":method", "GET")], [("te", "trailers"), *call_fields()],
    call_fields()[1:], [(":method", "PUT"), *call_fields()[1:]], [*call_fields(), ("te", "gzip")],
    [(":method", "POST"), (":scheme", "ftp"), *call_fields()[2:]], [*call_fields(), (":unheard-of", "x")],
    [*call_fields(), ("Upper-Case", "x")], [*call_fields(), ("bad key", "x")], [*call_fields(), ("k", "a\r\nb: c")],
    [*call_fields(), ("k-bin", "no base64!")], [*call_fields(), ("grpc-timeout", "99999999999999999999H")],
    [*call_fields(), ("grpc-timeout", "-1S")], [*call_fields(), ("grpc-encoding", "gzip")],
    [*call_fields(), ("content-length", "-5")], call_fields("/" + "x" * 8000), call_fields(""), call_fields("//"),
    [*call_fields()[:5], ("content-type", "text/html")], []], ids=lambda fields: str(fields[-1:]))
def test_headers_that_make_no_call_end_it(attacked: Server, fields: list[tuple[str, str]]) -> None:
    with Connection(attacked.address()) as connection:
        connection.send(connection.headers(1, fields, "END_HEADERS"))
        connection.try_send(DataFrame(1, message(b""), flags=["END_STREAM"]))
        connection.try_send(PingFrame(0, opaque_data=b"attnping"))
        status = connection.fields(1).get("grpc-status")
        assert status != "0"


@pytest.mark.parametrize("block", [
    b"\x80", b"\xff" * 12, b"\xbf" * 100, b"\x3f\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x00\x85\xff\xff\xff\xff\xff",
    b"\x00\x01a\x85\xff\xff\xff\xff\xff", b"\x40\x0a", bytes(range(256))], ids=lambda block: repr(block[:8]))
def test_a_header_block_that_hpack_does_not_know_ends_the_call(attacked: Server, block: bytes) -> None:
    with Connection(attacked.address()) as connection:
        connection.send(HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"]))
        connection.try_send(PingFrame(0, opaque_data=b"attnping"))
        assert connection.fields(1).get("grpc-status") != "0"


@pytest.mark.parametrize("stream", [0, 1])
def test_a_window_beyond_its_bound_harms_nobody(attacked: Server, stream: int) -> None:
    with Connection(attacked.address()) as connection:
        connection.open(1)
        connection.try_send(*[WindowUpdateFrame(stream, window_increment=0x7fffffff)] * 64)


def test_more_data_than_the_window_allows_is_not_kept(attacked: Server) -> None:
    # 32 MiB, where 4 MiB are allowed; the witness looks at the memory.
    with Connection(attacked.address()) as connection:
        connection.open(1)
        connection.send(DataFrame(1, message(b"", 64 << 20)))
        for _ in range(2048):
            if not connection.try_send(DataFrame(1, b"x" * 16_384)):
                break


@pytest.mark.parametrize("prefix", [b"\1\0\0\0\0", b"\2\0\0\0\0", b"\xff\xff\xff\xff\xff", b"\0\xff\xff\xff\xff", b"\0\0\0"],
                         ids=lambda prefix: repr(prefix))
def test_a_message_prefix_that_lies_ends_the_call(attacked: Server, prefix: bytes) -> None:
    with Connection(attacked.address()) as connection:
        connection.open(1, HEALTH)
        connection.send(DataFrame(1, prefix, flags=["END_STREAM"]))
        assert "grpc-status" in connection.fields(1)


def test_a_call_that_waits_holds_up_none_that_came_later(attacked: Server) -> None:
    with Connection(attacked.address()) as connection:
        connection.open(1, ATTEND)
        connection.send(DataFrame(1, message(b"half", 1000)))
        connection.ask(3, b"", HEALTH)
        assert connection.fields(3)["grpc-status"] == "0"


def test_a_connection_that_is_reset_is_forgotten(attacked: Server) -> None:
    for _ in range(100):
        with Connection(attacked.address()) as connection:
            connection.open(1)
            connection.send(DataFrame(1, message(b"half", 1000)))
            # Linger 0: close sends RST.
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
