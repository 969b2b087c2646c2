"""The proxies under test, each with the configuration that deploy/ ships: only the
addresses are put in."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

from fleet import Member, free_port, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]
HAPROXY_CONFIGURATION = ROOT / "deploy/haproxy/haproxy.cfg"
ENVOY_CONFIGURATION = ROOT / "deploy/envoy/envoy.yaml"


def haproxy_configuration(members: list[Member]) -> str:
    """The file without its own `server` lines, and with one for each member."""
    text = HAPROXY_CONFIGURATION.read_text()
    kept = re.sub(r"^    server .*\n", "", text, flags=re.MULTILINE)
    assert kept.count("\n") < text.count("\n")
    return kept + "".join(f"    server attnserve-{n} {member.address} id {n + 1} check port {member.http_port}\n"
                          for n, member in enumerate(members))


def haproxy_program() -> str:
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if program is None:
        raise FileNotFoundError("haproxy is missing (deploy/local/install test)")
    return program


def is_serving(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as page:
            return bool(page.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


class Proxy:
    """A running proxy: clients come in at `address`, `status` is its own HTTP port,
    `log` is what it wrote so far."""

    def __init__(self, address: str, status: str, log: pathlib.Path) -> None:
        self.address = address
        self.status = status
        self.log_file = log

    @property
    def log(self) -> str:
        return self.log_file.read_text()


@contextlib.contextmanager
def running(command: list[str], proxy: Proxy, health: str, **variables: str) -> Iterator[Proxy]:
    """The command, from when `health`, a path of its status port, says 200 on."""
    log, url = proxy.log_file, f"http://{proxy.status}{health}"
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT,
                                                   env={**os.environ, **variables}) as process:
        try:
            wait_until(lambda: process.poll() is not None or is_serving(url), f"{command[0]} answers at {url}")
            assert process.poll() is None, log.read_text()
            yield proxy
        finally:
            process.kill()


@contextlib.contextmanager
def haproxy(members: list[Member], folder: pathlib.Path, certificate: pathlib.Path | None = None,
            **variables: str) -> Iterator[Proxy]:
    """HAProxy in front of the members. `certificate`: a folder with "both" of them,
    to speak TLS. `variables`: those of haproxy.cfg, without ATTN_ and in lower case."""
    if certificate is not None:
        variables["proxy_certificate"] = str(certificate / "both")
    file = folder / "haproxy.cfg"
    file.write_text(haproxy_configuration(members))
    address, status = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with running([haproxy_program(), "-db", "-f", str(file)], Proxy(address, status, folder / "haproxy.log"), "/healthz",
                 ATTN_PROXY_ADDRESS=address, ATTN_PROXY_STATUS=status,
                 **{f"ATTN_{name.upper()}": value for name, value in variables.items()}) as proxy:
        yield proxy


def envoy_program() -> str:
    program = os.environ.get("ATTN_ENVOY", "envoy")
    if shutil.which(program) is None:
        raise FileNotFoundError(f"{program} is missing (tests/run interop fetches it)")
    return program


def envoy_configuration(members: list[Member], addresses: dict[int, str]) -> str:
    """The file with a line for each member in place of its own, and with other
    addresses for its ports of 127.0.0.1."""
    text = ENVOY_CONFIGURATION.read_text()
    lines = re.findall(r".*hash_key: .*\n", text)
    assert lines
    made = [lines[0].replace("attnserve-0.attnserve, port_value: 8001", f"127.0.0.1, port_value: {member.grpc_port}")
            .replace("port_value: 8002", f"port_value: {member.http_port}")
            .replace("hash_key: attnserve-0", f"hash_key: attnserve-{n}") for n, member in enumerate(members)]
    text = text.replace("".join(lines), "".join(made))
    for port, address in addresses.items():
        text = text.replace(f"address: 127.0.0.1, port_value: {port}}}",
                            f"address: 127.0.0.1, port_value: {address.rpartition(':')[2]}}}")
    return text


@contextlib.contextmanager
def envoy(members: list[Member], folder: pathlib.Path, certificate: pathlib.Path | None = None) -> Iterator[Proxy]:
    """Envoy in front of the members. `certificate`: a folder with "certificate" and
    "key", to speak TLS."""
    address, status, admin = (f"127.0.0.1:{free_port()}" for _ in range(3))
    text = envoy_configuration(members, {8001: address, 8404: status, 9901: admin})
    if certificate is not None:
        text = text.replace("#TLS ", "").replace("/tls/tls.crt", str(certificate / "certificate"))
        text = text.replace("/tls/tls.key", str(certificate / "key"))
    file = folder / "envoy.yaml"
    file.write_text(text)
    command = [envoy_program(), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning", "-c", str(file)]
    with running(command, Proxy(address, status, folder / "envoy.log"), "/ready") as proxy:
        # /ready is 200 as soon as one name of each cluster is known.
        wait_until(lambda: envoy_servers(status) == [len(members)] * 2, "Envoy knows all servers")
        yield proxy


def envoy_servers(status: str) -> list[int]:
    """Ready ones of the clusters "sessions" and "stateless"."""
    with urllib.request.urlopen(f"http://{status}/stats/prometheus") as page:
        text = page.read().decode()
    return [int(found) for cluster in ("sessions", "stateless")
            for found in re.findall(rf'envoy_cluster_membership_healthy{{envoy_cluster_name="{cluster}"}} (\d+)', text)]


PROXIES = {"haproxy": (haproxy, haproxy_program), "envoy": (envoy, envoy_program)}
CHOSEN = os.environ.get("ATTN_PROXY", "haproxy")

# Whether calls of sessions go to another server while their own is away, which then
# says that it does not know them; else the proxy says that it is away.
MOVES = CHOSEN == "haproxy"


def start(members: list[Member], folder: pathlib.Path,
          certificate: pathlib.Path | None = None) -> contextlib.AbstractContextManager[Proxy]:
    """The proxy that ATTN_PROXY names."""
    return PROXIES[CHOSEN][0](members, folder, certificate)


def require() -> None:
    """FileNotFoundError, with what to do, where its program is missing."""
    PROXIES[CHOSEN][1]()
