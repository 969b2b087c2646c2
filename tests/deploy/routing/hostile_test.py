"""What any proxy must bound, whichever it is, and TLS that ends there."""

import socket

import numpy as np
import pytest

import attnserve
from attnserve import RetryPolicy, Tls, errors
from proxies import start

ONE = np.ones((1, 1, 1, 8), np.float32)
ONCE = RetryPolicy(max_attempts=1)
# A client's connection preface, and empty SETTINGS.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
MAX_CONCURRENT_STREAMS = 3


def attend(address, **options):
    with attnserve.Client(address, retry=ONCE, timeout=10, **options) as client:
        return client.attend(ONE, ONE, ONE).output


def connect(address):
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_tls_ends_at_the_proxy(members, tmp_path, identity):
    with start(members, tmp_path, certificate=identity) as proxy:
        trusting = Tls(root_certificates=(identity / "certificate").read_bytes(), server_name="localhost")
        assert np.array_equal(attend(proxy.address, tls=trusting), ONE)
        with pytest.raises(errors.UnavailableError):
            attend(proxy.address)


def test_streams_of_a_connection_are_bounded(proxy):
    with connect(proxy.address) as connection:
        connection.sendall(PREFACE)
        frame = connection.recv(9, socket.MSG_WAITALL)
        payload = connection.recv(int.from_bytes(frame[:3], "big"), socket.MSG_WAITALL)
    settings = {int.from_bytes(payload[n:n + 2], "big"): int.from_bytes(payload[n + 2:n + 6], "big")
                for n in range(0, len(payload), 6)}
    assert frame[3] == 4 and settings[MAX_CONCURRENT_STREAMS] == 100


def test_headers_are_bounded(proxy):
    with attnserve.Client(proxy.address, retry=ONCE) as client:
        client.attend(ONE, ONE, ONE, metadata=[("x-large", "x" * 7000)])
        with pytest.raises(errors.AttnError):
            client.attend(ONE, ONE, ONE, metadata=[("x-large", "x" * 8192)])
        client.attend(ONE, ONE, ONE)


def test_proxy_without_servers_says_so(members, proxy):
    for member in members:
        member.running().kill()
    with pytest.raises(errors.UnavailableError):
        attend(proxy.address)


def test_each_client_has_its_own_connection_to_a_server(members, proxy):
    """HPACK tables of two clients never meet (CVE-2023-32731)."""
    with attnserve.Client(proxy.address) as first, attnserve.Client(
            proxy.address, channel_options=[("grpc.use_local_subchannel_pool", 1)]) as second:
        for client in (first, second, first, second):
            client.check_health(metadata=[("attn-session-id", "one")])
        with open("/proc/net/tcp", encoding="ascii") as table:
            lines = [line.split() for line in table.readlines()[1:]]
    established = "01"
    counts = [sum(line[3] == established and line[2].endswith(f":{member.grpc_port:04X}") for line in lines)
              for member in members]
    assert sorted(counts) == [0, 0, 2], counts
