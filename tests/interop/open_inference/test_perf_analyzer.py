"""perf_analyzer on both models: every run must end with stable windows, and its
counts with the server's."""

from __future__ import annotations

import unittest

import tritonclient.grpc as triton

import perf_analyzer
from fixture import ServerTest
from perf_analyzer import problem

HEAD_DIM = 32
WINDOW_MILLISECONDS = 1000
# Of throughput and latency over three windows of up to ten.
STABLE_WITHIN_PERCENT = 25
# What else the machine does may shake one run.
MAX_RUNS = 3


@unittest.skipUnless(perf_analyzer.PROGRAM, "perf_analyzer could not be installed")
class PerfAnalyzerTest(ServerTest):
    def measure(self, model: str, data: list, *flags: str) -> None:
        for _ in range(MAX_RUNS):
            output, rows = perf_analyzer.run(self.address, model, data, "-p", str(WINDOW_MILLISECONDS),
                                             "-s", str(STABLE_WITHIN_PERCENT), *flags)
            if rows:
                break
        self.assertEqual(len(rows), 1, output)
        for column in ("Server Queue", "Server Compute Input", "Server Compute Infer", "Server Compute Output"):
            self.assertIn(column, rows[0], output)
        print(f"{model} {' '.join(flags)}: {rows[0]['Inferences/Second']} inferences/s, "
              f"p50 {rows[0]['p50 latency']} us, server queue {rows[0]['Server Queue']} us, "
              f"compute {rows[0]['Server Compute Infer']} us")
        self.assertGreater(float(rows[0]["Inferences/Second"]), 0)

    def successes(self, model: str) -> tuple[int, int]:
        with triton.InferenceServerClient(self.address) as client:
            stats = client.get_inference_statistics(model).model_stats[0].inference_stats
        return stats.success.count, stats.fail.count

    def test_attention(self) -> None:
        for flags in (["--concurrency-range", "4"], ["--concurrency-range", "4", "--async"],
                      ["--concurrency-range", "2", "-b", "3"], ["--request-rate-range", "200"]):
            self.measure("attention", [problem(4, 64, HEAD_DIM)], *flags)
        self.assertEqual(self.successes("attention")[1], 0)

    def test_attention_kv(self) -> None:
        steps = [problem(1, 1, HEAD_DIM) for _ in range(20)]
        for flags in (["--concurrency-range", "4"], ["--concurrency-range", "4", "--streaming"]):
            self.measure("attention_kv", [steps], *flags)
        self.assertEqual(self.successes("attention_kv")[1], 0)


if __name__ == "__main__":
    unittest.main()
