"""What a real server's /metrics shows after a few calls, and calls to make it so."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

import rule_files

sys.path.insert(0, str(rule_files.ROOT / "tests/interop"))
from server import Server  # noqa: E402  pylint: disable=wrong-import-position

MAKE_LAYER = rule_files.ROOT / "client/examples/river_bank/make_layer.py"
_SAMPLE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$')
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')

# Series name -> label -> values that it has.
Series = dict[str, dict[str, set[str]]]


class WatchedServer(Server):
    """With a layer, river_bank/0, without which some series are not there."""

    def __init__(self, binary: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        model = pathlib.Path(self._folder.name) / "river_bank"
        subprocess.run([sys.executable, str(MAKE_LAYER), str(model)], check=True)
        self.forward = f"layer forward river_bank/0 --hidden {model}/hidden.npy"
        super().__init__(binary, "--layers", str(model))

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._folder.cleanup()


def http_address(server: Server) -> str:
    """HOST:PORT of /metrics. Waits until the server serves."""
    server.address()
    found = re.search(r"serving .*http=(\S+)", "".join(server.log))
    if not found:
        raise RuntimeError("the server's log names no HTTP address:\n" + "".join(server.log))
    return found.group(1)


def scrape(address: str) -> str:
    """The body of /metrics."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as reply:
        return str(reply.read().decode())


def parse(text: str) -> Series:
    """The series of an exposition."""
    series: Series = {}
    for line in text.splitlines():
        found = _SAMPLE.match(line)
        if not found:
            continue
        labels = series.setdefault(found.group(1), {})
        for name, value in _LABEL.findall(found.group(2) or ""):
            labels.setdefault(name, set()).add(value)
    return series


def call_a_few(attnctl: str, server: WatchedServer) -> None:
    """Some calls with and without a session, and one of the layer."""
    base = [attnctl, "--address", server.address()]
    for words in ("bench -n 20 --kv-len 64", "session create watched --head-dim 8",
                  "session append watched --random 70", "session attend watched --random 1",
                  "session delete watched", "bench --sessions 2 --prefix 8 --steps 2 --head-dim 8", server.forward):
        subprocess.run([*base, *words.split()], check=True, capture_output=True, stdin=subprocess.DEVNULL)
