#!/usr/bin/env python3
"""A rollout as the chart makes it loses no call: a StatefulSet's pods are replaced one
after the other, behind the chart's proxy and under load.

  rolling_test.py ATTNSERVE ATTNCTL

Three real servers with the flags of rendered/proxied.yaml, a real HAProxy with the
chart's configuration, and attnctl as a client that tries nothing again. The part of the
cluster is played here: signal, wait for the end, start the next, wait until it is ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import chart

sys.path.insert(0, str(chart.ROOT / "tests/tools"))
import repository

try:
    import manifest
except ImportError:
    print("skipped: this Python has no yaml (Debian: python3-yaml)")
    sys.exit(77)

ATTNSERVE = ATTNCTL = ""
SERVERS = 3
WITHIN_SECONDS = 60
# The pod's grace of default values less its preStop: more than the drain takes.
GRACE_SECONDS = 40
# Longer than HAProxy needs to see a server that is not ready; the chart's 5 s would
# make this test no other, but a minute longer.
DRAIN_DELAY = "3s"


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def wait_until(url: str) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not answers(url):
        if time.monotonic() > deadline:
            raise AssertionError(f"{url} does not answer within {WITHIN_SECONDS} s")
        time.sleep(0.05)


class Pod:
    """A server that keeps its addresses when it is replaced."""

    def __init__(self, args: list[str]) -> None:
        self.grpc, self.http = repository.free_address(), repository.free_address()
        own = {"--grpc-address": self.grpc, "--http-address": self.http, "--drain-delay": DRAIN_DELAY,
               "--kv-memory": "64MiB", "--workers": "1"}
        kept = [arg for arg in args if arg.split("=")[0] not in own]
        self.command = [ATTNSERVE, *kept, *(f"{name}={value}" for name, value in own.items())]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={})
        wait_until(f"http://{self.http}/readyz")

    def replace(self) -> int:
        """The exit code of the old process."""
        self.process.terminate()
        code = self.process.wait(timeout=GRACE_SECONDS)
        self.start()
        return code


@contextlib.contextmanager
def proxy(pods: list[Pod], haproxy: str, folder: str):
    """The address of the chart's proxy in front of these."""
    head = (chart.CHART / "files/haproxy.cfg").read_text().split("    # SERVERS:")[0]
    lines = [f"    server attention-{n} {pod.grpc} id {n + 1} check port {pod.http.split(':')[1]}"
             for n, pod in enumerate(pods)]
    file = pathlib.Path(folder) / "haproxy.cfg"
    file.write_text(head + "\n".join(lines) + "\n")
    address, status = repository.free_address(), repository.free_address()
    with (file.parent / "haproxy.log").open("w") as log:
        process = subprocess.Popen([haproxy, "-db", "-f", str(file)], stdout=log, stderr=log,
                                   env={**os.environ, "ATTN_PROXY_ADDRESS": address, "ATTN_PROXY_STATUS": status})
    try:
        wait_until(f"http://{status}/healthz")
        yield address, f"http://{status}/metrics"
    finally:
        process.terminate()
        process.wait()


def servers_up(metrics: str) -> int:
    with urllib.request.urlopen(metrics, timeout=5) as page:
        lines = page.read().decode().splitlines()
    return sum(line.startswith("haproxy_server_status{") and 'state="UP"' in line and line.endswith(" 1")
               for line in lines)


def wait_for_servers(metrics: str) -> None:
    """minReadySeconds, as far as it matters: until the proxy sees all of them."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while servers_up(metrics) < SERVERS:
        if time.monotonic() > deadline:
            raise AssertionError("HAProxy does not see the new server")
        time.sleep(0.1)


class RollingTest(unittest.TestCase):

    def test_no_call_fails_while_every_server_is_replaced(self) -> None:
        haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
        if not haproxy:
            self.skipTest("haproxy is not installed (deploy/local/install test)")
        args = manifest.Manifests.parse(chart.golden("proxied").read_text()).server_args()
        pods = [Pod(args) for _ in range(SERVERS)]
        try:
            with tempfile.TemporaryDirectory() as folder, proxy(pods, haproxy, folder) as (address, metrics):
                wait_for_servers(metrics)
                figures = self.roll_under_load(pods, address, metrics, pathlib.Path(folder) / "load.json")
                # Not the calls, which are lines of JSON.
                log = (pathlib.Path(folder) / "haproxy.log").read_text().splitlines()
                words = "\n".join(line for line in log if not line.startswith("{"))
        finally:
            for pod in pods:
                pod.process.kill()
                pod.process.wait()
        print(f"{figures['requests_completed']} calls while {SERVERS} servers were replaced, {figures['requests_failed']} failed")
        self.assertEqual(figures["requests_failed"], 0, words)
        self.assertGreater(figures["requests_completed"], 100)

    def roll_under_load(self, pods: list[Pod], address: str, metrics: str, file: pathlib.Path) -> dict:
        load = subprocess.Popen([ATTNCTL, "--address", address, "--attempts=1", "bench", "--duration=10m", "-c", "4",
                                 "--kv-len=64", f"--json={file}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            for pod in reversed(pods):
                self.assertEqual(pod.replace(), 0)
                wait_for_servers(metrics)
                self.assertIsNone(load.poll(), "the load ended early")
            load.send_signal(2)  # Ctrl-C: it stops and prints what it counted.
            words, _ = load.communicate(timeout=60)
        finally:
            load.kill()
        self.assertTrue(file.exists(), words)
        return json.loads(file.read_text())


if __name__ == "__main__":
    ATTNSERVE, ATTNCTL = sys.argv.pop(1), sys.argv.pop(1)
    if not (pathlib.Path(ATTNSERVE).exists() and pathlib.Path(ATTNCTL).exists()):
        print(f"skipped: {ATTNSERVE} or {ATTNCTL} is not built")
        sys.exit(77)
    unittest.main()
