#!/usr/bin/env python3
"""A real Prometheus watches a real server under load: what it records agrees with what
the client counted, the dashboard's queries have answers, and a server that is gone
raises AttnserveDown.

  prometheus_test.py ATTNSERVE ATTNCTL
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from typing import Any

import series_test
import served_series
from prometheus_server import Prometheus, await_it

import repository  # isort: skip  (of tests/tools, which prometheus_server finds)

LOAD_SECONDS = 8
WINDOW_SECONDS = 300  # Of the recorded rates.
FORWARDS = 1  # Calls beside the load.


class PrometheusTest(unittest.TestCase):
    """One server and one Prometheus for all tests, which run in their order."""

    binary = attnserve = attnctl = ""

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.server = cls.enterClassContext(served_series.WatchedServer(cls.attnserve))
        http = served_series.http_address(cls.server)
        cls.prometheus = cls.enterClassContext(Prometheus(cls.binary, http, pathlib.Path(folder.name)))
        # Counters are seen at 0 before the load, or its first second would be missing.
        await_it("the first two scrapes", lambda: cls.prometheus.value("count_over_time(attn_workers[1m]) > 1"))
        cls.bench = json.loads(cls.run_attnctl(f"bench -c 4 --kv-len 256 --duration {LOAD_SECONDS}s --output json"))
        cls.forward = json.loads(cls.run_attnctl(f"{cls.server.forward} --json"))
        cls.run_attnctl("session create watched --head-dim 64 --layers 2")
        cls.run_attnctl("session append watched --random 100 --all-layers")
        cls.session = json.loads(cls.run_attnctl("session show watched --json"))
        calls = cls.bench["requests_completed"]
        # The last scrape, and an evaluation of the rules after it.
        await_it("all calls to be scraped", lambda: cls.prometheus.value(
            f'sum(grpc_server_handled_total{{grpc_method="Attend",grpc_code="OK"}}) >= {calls}'))
        await_it("the session to be recorded", lambda: cls.prometheus.value("instance:attn_kv_bytes:ratio > 0"))

    @classmethod
    def run_attnctl(cls, words: str) -> str:
        """What it printed. Fails where it does."""
        command = [cls.attnctl, "--address", cls.server.address(), *words.split()]
        return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout

    def recorded(self, expr: str) -> float:
        """The only value of a query that must have one."""
        value = self.prometheus.value(expr)
        self.assertIsNotNone(value, expr)
        return value or 0.0

    def test_1_calls_are_those_that_the_client_counted(self) -> None:
        calls = self.recorded('job_method:grpc_server_handled:rate5m{grpc_method="Attend"}') * WINDOW_SECONDS
        # rate() extends the counts to the ends of its window, at most a scrape each.
        self.assertAlmostEqual(calls / self.bench["requests_completed"], 1, delta=0.25)
        self.assertEqual(self.recorded("sum(attn_admitted_tasks_total)"), self.bench["requests_completed"] + FORWARDS)

    def test_2_nothing_failed(self) -> None:
        self.assertEqual(self.bench["requests_failed"], 0)
        self.assertEqual(self.recorded("job:grpc_server_errors:ratio_rate5m"), 0)
        self.assertEqual(self.recorded("job:grpc_server_errors:ratio_rate3d"), 0)

    def test_3_latencies_are_within_what_the_client_saw(self) -> None:
        name = 'job_method:grpc_server_handling_seconds:p50_rate5m{grpc_method="Attend"}'
        # The server's part of a call, up to the width of a bucket above it.
        self.assertLess(self.recorded(name), 2.5 * self.bench["latency_p50_ms"] / 1000)
        self.assertGreater(self.recorded(name), 0)
        slow = self.recorded("job:grpc_server_slow:ratio_rate5m")
        self.assertGreaterEqual(slow, 0)
        if self.bench["latency_max_ms"] < 250:
            self.assertEqual(slow, 0)

    def test_4_kv_memory_is_that_of_the_session(self) -> None:
        limit = self.recorded("attn_kv_bytes_limit")
        self.assertEqual(self.recorded("instance:attn_kv_bytes:ratio"), self.session["kv_bytes"] / limit)

    def test_5_tokens_of_the_layer_are_the_rows_that_were_sent(self) -> None:
        batch, rows, _ = self.forward["output_shape"]
        self.assertEqual(self.recorded('attn_layer_tokens_total{layer="river_bank/0"}'), batch * rows)

    def test_6_every_rule_evaluates(self) -> None:
        def evaluated() -> list[dict[str, Any]] | None:
            rules = self.prometheus.rules()
            return None if any(rule["health"] == "unknown" for rule in rules) else rules

        rules = await_it("every rule", evaluated)
        self.assertEqual([(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"], [])

    def test_7_every_query_of_the_dashboard_has_an_answer(self) -> None:
        empty = []
        for title, expr in series_test.dashboard_queries().items():
            answer = self.prometheus.query(expr)
            is_filter = re.search(r"[^=!]> 0|== 1|!=", expr)
            if not answer and not is_filter:
                empty.append(title)
        self.assertEqual(empty, [])

    def test_8_no_alert_on_a_healthy_server(self) -> None:
        # A burst on a busy machine may be slow or wait; it must not look broken.
        load = re.compile("Latency|QueueWait|WorkersStarved")
        self.assertEqual([alert["labels"] for alert in self.prometheus.alerts()
                          if not load.search(alert["labels"]["alertname"])], [])

    def test_9_server_that_is_gone_raises_an_alert(self) -> None:
        self.assertEqual(self.server.stop(), 0)

        def down() -> dict[str, object] | None:
            found = [alert for alert in self.prometheus.alerts() if alert["labels"]["alertname"] == "AttnserveDown"]
            return found[0] if found and found[0]["state"] == "firing" else None

        alert = await_it("AttnserveDown", down)
        self.assertIn("has not answered /metrics", str(alert["annotations"]))
        self.assertNotIn("error expanding", str(alert["annotations"]))


def main() -> int:
    """The exit code."""
    PrometheusTest.binary = repository.require("prometheus")
    PrometheusTest.attnserve, PrometheusTest.attnctl = sys.argv[1:]
    for binary in sys.argv[1:]:
        if not os.path.exists(binary):
            print(f"skipped: {binary} is not built")
            return 77
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(PrometheusTest)
    return 0 if unittest.TextTestRunner(verbosity=2).run(tests).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
