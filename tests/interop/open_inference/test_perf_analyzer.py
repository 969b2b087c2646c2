"""perf_analyzer on both models: every run must end with stable windows, and its
counts with the server's."""

from __future__ import annotations

import csv
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

import tritonclient.grpc as triton

from fixture import ServerTest

PROGRAM = shutil.which("perf_analyzer", path=str(pathlib.Path(sys.executable).parent))
WINDOW_MILLISECONDS = 1000
# Of throughput and latency over three windows of up to ten.
STABLE_WITHIN_PERCENT = 25
# What else the machine does may shake one run.
MAX_RUNS = 3


def tensor(*shape: int) -> dict:
    count = 1
    for length in shape:
        count *= length
    return {"content": [random.gauss(0, 1) for _ in range(count)], "shape": list(shape)}


def problem(q_len: int, kv_len: int) -> dict:
    """Shapes without the batch axis, which perf_analyzer puts in front."""
    return {"Q": tensor(8, q_len, 32), "K": tensor(2, kv_len, 32), "V": tensor(2, kv_len, 32)}


@unittest.skipUnless(PROGRAM, "perf_analyzer could not be installed")
class PerfAnalyzerTest(ServerTest):
    def run_program(self, model: str, data: list, flags: tuple[str, ...]) -> tuple[str, list[dict]]:
        """What it said, and the rows of its report: none where it was not stable."""
        with tempfile.TemporaryDirectory() as folder:
            report, inputs = pathlib.Path(folder, "report.csv"), pathlib.Path(folder, "data.json")
            inputs.write_text(json.dumps({"data": data}))
            run = subprocess.run(
                [PROGRAM, "-i", "grpc", "-u", self.address, "-m", model, "--input-data", inputs,
                 "-p", str(WINDOW_MILLISECONDS), "-s", str(STABLE_WITHIN_PERCENT), "-f", report, *flags],
                capture_output=True, text=True, timeout=240, check=False)
            output = run.stdout + run.stderr
            if "Failed to obtain stable measurement" in output:
                return output, []
            self.assertEqual(run.returncode, 0, output)
            return output, list(csv.DictReader(report.read_text().splitlines()))

    def measure(self, model: str, data: list, *flags: str) -> None:
        for _ in range(MAX_RUNS):
            output, rows = self.run_program(model, data, flags)
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
            self.measure("attention", [problem(4, 64)], *flags)
        self.assertEqual(self.successes("attention")[1], 0)

    def test_attention_kv(self) -> None:
        steps = [problem(1, 1) for _ in range(20)]
        for flags in (["--concurrency-range", "4"], ["--concurrency-range", "4", "--streaming"]):
            self.measure("attention_kv", [steps], *flags)
        self.assertEqual(self.successes("attention_kv")[1], 0)


if __name__ == "__main__":
    unittest.main()
