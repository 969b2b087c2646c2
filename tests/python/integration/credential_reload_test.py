"""Certificates and tokens that change while the server runs."""

import calendar
import http.client
import os
import queue
import re
import shutil
import socket
import ssl
import subprocess
import time

import grpc
import pytest

from certificates import CertificateAuthority
from server_fixtures import Server

ATTEND, STREAM = "/attn.v1.AttentionService/Attend", "/attn.v1.AttentionService/AttendStream"
MONITOR = "token-of-the-monitor"
PATIENCE_SECONDS = 30


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return CertificateAuthority(tmp_path_factory.mktemp("authority"), "ca")


class Secret:
    """A folder of files behind a symbolic link that is swapped at once, as
    Kubernetes mounts a secret."""

    def __init__(self, folder):
        self._folder = folder
        self._version = 0

    def __getitem__(self, name):
        return str(self._folder / "now" / name)

    def swap(self, **files):
        """files: text or the path of a file to copy, by name."""
        self._version += 1
        version = self._folder / str(self._version)
        version.mkdir()
        for name, contents in files.items():
            if isinstance(contents, str):
                (version / name).write_text(contents)
            else:
                shutil.copy(contents, version / name)
        (self._folder / "next").symlink_to(version.name)
        os.replace(self._folder / "next", self._folder / "now")


@pytest.fixture
def secret(tmp_path):
    return Secret(tmp_path)


@pytest.fixture
def start(binary):
    servers = []

    def start_one(*flags):
        servers.append(Server(binary, "--tls-reload-interval", "20ms", *flags))
        servers[-1].address()
        return servers[-1]

    yield start_one
    for server in servers:
        assert server.stop() == 0


def until(holds):
    """Asks until it holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end


def metric(server, series, token=MONITOR):
    address = re.search(r"http=(\S+)", "".join(server.log)).group(1)
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
    page = connection.getresponse().read().decode()
    connection.close()
    return float(re.search(rf"^{re.escape(series)} (\S+)$", page, re.MULTILINE).group(1))


def reloads(server, files, outcome):
    return metric(server, f'attn_credential_reloads_total{{files="{files}",outcome="{outcome}"}}')


def served_serial(server, authority):
    """Of the certificate that a new connection sees, verified."""
    host, port = server.address().split(":")
    context = ssl.create_default_context(cafile=authority.certificate)
    context.set_alpn_protocols(["h2"])
    with (socket.create_connection((host, int(port)), timeout=30) as plain,
          context.wrap_socket(plain, server_hostname=host) as connection):
        return int(connection.getpeercert()["serialNumber"], 16)


def expiry(identity):
    """When it ends, in seconds since 1970."""
    text = subprocess.run(["openssl", "x509", "-in", identity.certificate, "-noout", "-enddate"], check=True,
                          capture_output=True, text=True).stdout.strip().partition("=")[2]
    return calendar.timegm(time.strptime(text, "%b %d %H:%M:%S %Y %Z"))


class OpenStream:
    """An AttendStream on a connection of its own."""

    def __init__(self, server, authority):
        credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
        self.channel = grpc.secure_channel(server.address(), credentials)
        self._requests = queue.SimpleQueue()
        self._results = self.channel.stream_stream(STREAM)(
            iter(self._requests.get, None), metadata=[("authorization", f"Bearer {MONITOR}client")], timeout=60)

    def ask(self):
        """The bytes of one result."""
        self._requests.put(b"")
        return next(self._results)

    def close(self):
        self._requests.put(None)
        assert list(self._results) == []
        self.channel.close()


def attend_code(server, token):
    with grpc.insecure_channel(server.address()) as channel:
        try:
            channel.unary_unary(ATTEND)(b"", metadata=[("authorization", f"Bearer {token}")], timeout=30)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


@pytest.fixture
def with_tls(start, secret, authority):
    """A server with the certificate 1001."""
    first = authority.sign("first", "attnserve", "IP:127.0.0.1", serial=1001)
    secret.swap(certificate=first.certificate, key=first.key,
                tokens=f"prometheus {MONITOR} monitor\nsearch {MONITOR}client\n")
    server = start("--tls-certificate", secret["certificate"], "--tls-key", secret["key"],
                   "--token-file", secret["tokens"])
    assert served_serial(server, authority) == 1001
    return server


def swap_certificate(secret, certificate_of, key_of):
    secret.swap(certificate=certificate_of.certificate, key=key_of.key,
                tokens=f"prometheus {MONITOR} monitor\nsearch {MONITOR}client\n")


def test_new_connections_see_a_new_certificate_and_old_ones_live_on(with_tls, secret, authority):
    stream = OpenStream(with_tls, authority)
    assert stream.ask()
    second = authority.sign("second", "attnserve", "IP:127.0.0.1", serial=2002)
    swap_certificate(secret, second, second)
    until(lambda: served_serial(with_tls, authority) == 2002)
    assert stream.ask()
    stream.close()
    assert metric(with_tls, "attn_tls_certificate_expiry_timestamp_seconds") == expiry(second)
    assert reloads(with_tls, "tls", "ok") == 1


def test_a_certificate_without_its_key_is_not_taken(with_tls, secret, authority):
    second = authority.sign("second", "attnserve", "IP:127.0.0.1", serial=2002)
    third = authority.sign("third", "attnserve", "IP:127.0.0.1", serial=3003)
    swap_certificate(secret, second, third)
    until(lambda: reloads(with_tls, "tls", "failed") == 1)
    assert served_serial(with_tls, authority) == 1001
    assert "tls-key: must be the key of tls-certificate" in "".join(with_tls.log)
    swap_certificate(secret, second, second)
    until(lambda: served_serial(with_tls, authority) == 2002)
    assert reloads(with_tls, "tls", "failed") == 1


def test_tokens_come_and_go_with_their_file(start, secret):
    secret.swap(tokens=f"search first-token-of-search\nprometheus {MONITOR} monitor\n")
    server = start("--token-file", secret["tokens"])
    assert attend_code(server, "first-token-of-search") == grpc.StatusCode.INVALID_ARGUMENT
    assert attend_code(server, "second-token-of-search") == grpc.StatusCode.UNAUTHENTICATED
    secret.swap(tokens=f"search second-token-of-search\nprometheus {MONITOR} monitor\n")
    until(lambda: attend_code(server, "second-token-of-search") == grpc.StatusCode.INVALID_ARGUMENT)
    assert attend_code(server, "first-token-of-search") == grpc.StatusCode.UNAUTHENTICATED
    assert reloads(server, "tokens", "ok") == 1


@pytest.mark.parametrize("tokens", ["", "search short\n", "a b c d\n"])
def test_a_bad_file_of_tokens_keeps_the_old_ones(start, secret, tokens):
    secret.swap(tokens=f"search first-token-of-search\nprometheus {MONITOR} monitor\n")
    server = start("--token-file", secret["tokens"])
    secret.swap(tokens=tokens)
    until(lambda: reloads(server, "tokens", "failed") == 1)
    assert attend_code(server, "first-token-of-search") == grpc.StatusCode.INVALID_ARGUMENT
    assert any("the old ones stay" in line for line in server.log)


def test_a_file_of_tokens_that_is_gone_keeps_the_old_ones(start, secret):
    secret.swap(tokens=f"search first-token-of-search\nprometheus {MONITOR} monitor\n")
    server = start("--token-file", secret["tokens"])
    secret.swap()
    until(lambda: reloads(server, "tokens", "failed") == 1)
    assert attend_code(server, "first-token-of-search") == grpc.StatusCode.INVALID_ARGUMENT
