"""Fixtures: servers behind the proxy that ATTN_PROXY names (haproxy, envoy)."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "python"), str(HERE.parents[1] / "interop")]

import fleet  # noqa: E402  pylint: disable=wrong-import-position
import proxies  # noqa: E402  pylint: disable=wrong-import-position

pytest_plugins = ["server_fixtures"]


def pytest_sessionstart() -> None:
    try:
        proxies.require()
    except FileNotFoundError as error:
        pytest.exit(f"skipped: {error}", returncode=77)


@pytest.fixture
def members(binary: str) -> Iterator[list[fleet.Member]]:
    """Three servers of this test's own, which it may kill."""
    with fleet.fleet(binary) as servers:
        yield servers


@pytest.fixture
def proxy(members: list[fleet.Member], tmp_path: pathlib.Path) -> Iterator[proxies.Proxy]:
    with proxies.start(members, tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with the key and the certificate of localhost, signed by itself, each
    alone and in one file, "both"."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", folder / "key", "-out", folder / "certificate"], check=True, capture_output=True)
    (folder / "both").write_bytes((folder / "certificate").read_bytes() + (folder / "key").read_bytes())
    return folder
