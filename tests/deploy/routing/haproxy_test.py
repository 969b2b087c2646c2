"""What HAProxy's configuration does beyond any proxy's (hostile_test.py)."""

import os
import subprocess
import urllib.request

import pytest

import attnserve
import proxies
from attnserve import Tls, errors
from fleet import wait_until
from hostile_test import ONCE, ONE, PREFACE, attend, connect


def test_shipped_file_is_valid(identity):
    tls = {"ATTN_PROXY_CERTIFICATE": str(identity / "both")}
    ca = str(identity / "certificate")
    for variables in ({}, tls, {**tls, "ATTN_PROXY_CLIENT_CA": ca}, {"ATTN_SERVER_CA": ca}):
        subprocess.run([proxies.haproxy_program(), "-c", "-f", proxies.HAPROXY_CONFIGURATION], check=True,
                       env={**os.environ, **variables}, capture_output=True)


def test_clients_show_their_certificate(members, tmp_path, identity):
    key, root = ((identity / name).read_bytes() for name in ("key", "certificate"))
    with proxies.haproxy(members, tmp_path, identity, proxy_client_ca=str(identity / "certificate")) as proxy:
        known = Tls(root_certificates=root, private_key=key, certificate_chain=root, server_name="localhost")
        assert (attend(proxy.address, tls=known) == ONE).all()
        with pytest.raises(errors.UnavailableError):
            attend(proxy.address, tls=Tls(root_certificates=root, server_name="localhost"))


def is_admitted(connection):
    """Whether the proxy answers a preface instead of ending the connection."""
    try:
        connection.sendall(PREFACE)
        return bool(connection.recv(1))
    except ConnectionError:
        return False


def knocks_in(address):
    try:
        with connect(address) as connection:
            return is_admitted(connection)
    except ConnectionError:
        return False


def test_connections_of_a_client_are_bounded(members, tmp_path):
    with proxies.haproxy(members, tmp_path, proxy_client_connections="2") as proxy:
        with connect(proxy.address) as first, connect(proxy.address) as second:
            assert is_admitted(first) and is_admitted(second)
            assert not knocks_in(proxy.address)
        wait_until(lambda: knocks_in(proxy.address), "there is room again")


def test_calls_of_a_client_are_bounded(members, tmp_path):
    with proxies.haproxy(members, tmp_path, proxy_client_calls="5") as proxy:
        for _ in range(5):
            attend(proxy.address)
        with pytest.raises(errors.ResourceExhaustedError, match="too many calls"):
            attend(proxy.address)


def test_two_ids_are_refused(proxy):
    with attnserve.Client(proxy.address, retry=ONCE) as client:
        with pytest.raises(errors.InvalidArgumentError, match="or two attn-session-id"):
            client.attend(ONE, ONE, ONE, metadata=[("attn-session-id", "a"), ("attn-session-id", "b")])


def test_calls_are_logged_without_ids(proxy):
    with attnserve.Client(proxy.address) as client:
        client.create_session(session_id="private-name", num_kv_heads=1, head_dim=8)
    assert '"method":"/attn.v1.SessionService/CreateSession","status":200' in proxy.log
    assert "private-name" not in proxy.log


def test_proxy_shows_its_own_metrics(proxy):
    with urllib.request.urlopen(f"http://{proxy.status}/metrics") as page:
        assert b'haproxy_server_status{proxy="attnserve",server="attnserve-0",state="UP"} 1' in page.read()
