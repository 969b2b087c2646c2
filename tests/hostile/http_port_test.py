"""The HTTP port, which takes GET and HEAD of a few paths: whatever else comes is refused or hung up on, and a probe
beside it is answered."""

from __future__ import annotations

import socket
import urllib.request
from contextlib import ExitStack

import process
import pytest
from server import Server

GET = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
# civetweb's request_timeout_ms.
SLOW_REQUEST_SECONDS = 5


def connect(server: Server) -> socket.socket:
    host, port = server.http_address().rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=20)


def answer(server: Server, request: bytes) -> bytes:
    """All that comes back until the server hangs up."""
    with connect(server) as connection:
        found = b""
        try:
            connection.sendall(request)
            while piece := connection.recv(65_536):
                found += piece
        except ConnectionError:
            pass
        return found


def status(reply: bytes) -> int | None:
    return int(reply.split()[1]) if reply.startswith(b"HTTP/1.1 ") else None


def probe(server: Server, path: str = "/livez") -> str:
    with urllib.request.urlopen(f"http://{server.http_address()}{path}", timeout=20) as page:
        return str(page.read().decode())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "PROPFIND",
                                    "MKCOL", "get", "G" * 5000, "\0", ""])
@pytest.mark.parametrize("path", ["/metrics", "/statusz"])
def test_other_methods_are_refused(attacked: Server, method: str, path: str) -> None:
    reply = answer(attacked, f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
    assert status(reply) in (None, 400, 405, 501)
    assert b"grpc_server" not in reply


@pytest.mark.parametrize("path", [
    "/../../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/metrics/../../etc",
    "/.htpasswd", "/statusz.js/../../../etc/passwd", "\\..\\..\\etc\\passwd", "/cgi-bin/sh", "/%00", "/%", "/%zz",
    "http://other/etc/passwd", "*", "", "/" + "a" * 12_000, "/?" + "q" * 12_000,
    "/statusz?format=%0d%0aSet-Cookie:x=y"], ids=lambda path: path[:24])
def test_no_path_leads_out_of_the_few(attacked: Server, path: str) -> None:
    reply = answer(attacked, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert status(reply) in (None, 400, 404, 413, 414, 431)
    assert b"root:" not in reply and b"Set-Cookie" not in reply


@pytest.mark.parametrize("request_bytes", [
    b"\0" * 4096, b"\xff" * 65_536, b"\r\n" * 1000, b"GET", b"GET /livez\r\n\r\n", b"GET /livez HTTP/9.9\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", GET + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    GET + b"X: y\r\n" * 5000 + b"\r\n", GET + b"Content-Length: 99999999999999999999\r\n\r\n",
    GET + b"Content-Length: -1\r\n\r\n", GET + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    GET + b"Range: bytes=0-99999999999\r\n\r\n", GET + b"Expect: 200-ok\r\n\r\n", GET + b"no colon\r\n\r\n",
    GET + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", GET + b"Authorization: Basic " + b"A" * 8000 + b"\r\n\r\n"],
    ids=lambda request_bytes: repr(request_bytes[-16:]))
def test_what_is_no_request_harms_nobody(attacked: Server, request_bytes: bytes) -> None:
    # Ended by a half-close, so that nothing waits for the time-out.
    with connect(attacked) as connection:
        try:
            connection.sendall(request_bytes)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
        except OSError:  # It has hung up already.
            pass
    assert probe(attacked) == "alive\n"


def test_only_the_first_of_pipelined_requests_is_answered(attacked: Server) -> None:
    assert answer(attacked, (GET + b"\r\n") * 100).count(b"HTTP/1.1") == 1


def test_headers_that_trickle_in_are_cut_off(attacked: Server) -> None:
    with connect(attacked) as connection:
        connection.sendall(GET)
        connection.settimeout(4 * SLOW_REQUEST_SECONDS)
        # Closed, or told that it took too long.
        assert status(connection.recv(65_536)) in (None, 408)


def test_connections_that_say_nothing_are_forgotten(attacked: Server) -> None:
    before = process.descriptors(attacked.pid)
    with ExitStack() as opened:
        for _ in range(200):
            opened.enter_context(connect(attacked))
    assert process.becomes_true(lambda: process.descriptors(attacked.pid) <= before + 4, 30)
    assert probe(attacked, "/readyz") == "ready\n"


def test_readers_that_hang_up_at_once_harm_nobody(attacked: Server) -> None:
    for _ in range(200):
        with connect(attacked) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert "attn_build_info" in probe(attacked, "/metrics")
