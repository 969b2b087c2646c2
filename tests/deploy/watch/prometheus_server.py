"""A real Prometheus with deploy/prometheus' configuration, quickened for a test."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

import rule_files

sys.path.insert(0, str(rule_files.ROOT / "tests/tools"))
import repository  # noqa: E402  pylint: disable=wrong-import-position

Found = TypeVar("Found")

WITHIN_SECONDS = 30
POLL_SECONDS = 0.1


def await_it(what: str, ask: Callable[[], Found | None]) -> Found:
    """The first answer of `ask` that is not None. TimeoutError after WITHIN_SECONDS."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        found = ask()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {WITHIN_SECONDS} s for {what}")
        time.sleep(POLL_SECONDS)


class Prometheus:
    """Scrapes `target` and evaluates the rules each second; alerts wait 2 s instead of
    minutes. A context manager; all of it lives in `folder`."""

    def __init__(self, binary: str, target: str, folder: pathlib.Path) -> None:
        self._address = repository.free_address()
        config = self._write_config(target, folder)
        self._log = (folder / "prometheus.log").open("w+")
        self._process = subprocess.Popen(
            [binary, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address={self._address}", "--log.level=warn"],
            stdout=self._log, stderr=subprocess.STDOUT)

    @staticmethod
    def _write_config(target: str, folder: pathlib.Path) -> pathlib.Path:
        config = (rule_files.PROMETHEUS / "prometheus.yaml").read_text()
        for old, new in (("127.0.0.1:8002", target), ("_interval: 15s", "_interval: 1s"), ("timeout: 10s", "timeout: 1s")):
            if old not in config:
                raise ValueError(f"deploy/prometheus/prometheus.yaml has no {old!r}")
            config = config.replace(old, new)
        alerts = (rule_files.PROMETHEUS / "alerts.yaml").read_text()
        (folder / "prometheus.yaml").write_text(config)
        (folder / "rules.yaml").write_text((rule_files.PROMETHEUS / "rules.yaml").read_text())
        (folder / "alerts.yaml").write_text(re.sub(r"\bfor: \w+$", "for: 2s", alerts, flags=re.MULTILINE))
        return folder / "prometheus.yaml"

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def ask(self, path: str, **parameters: str) -> Any:
        """`data` of /api/v1/<path>; None while it does not answer."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise RuntimeError(f"{url}: {error.read().decode()}") from error
        except OSError as error:
            if self._process.poll() is not None:
                self._log.seek(0)
                raise RuntimeError(f"prometheus ended:\n{self._log.read()}") from error
            return None

    def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """(labels, value) of each series of an instant query."""
        data = await_it("an answer", lambda: self.ask("query", query=expr))
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def value(self, expr: str) -> float | None:
        """The only value of a query; None for no series."""
        found = self.query(expr)
        if len(found) > 1:
            raise ValueError(f"{expr}: {len(found)} series")
        return found[0][1] if found else None

    def rules(self) -> list[dict[str, Any]]:
        """All rules and alerts, with their health."""
        data = await_it("the rules", lambda: self.ask("rules"))
        return [rule for group in data["groups"] for rule in group["rules"]]

    def alerts(self) -> list[dict[str, Any]]:
        """Those that are pending or firing."""
        return await_it("the alerts", lambda: self.ask("alerts"))["alerts"]
