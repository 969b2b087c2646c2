#!/usr/bin/env python3
"""perf_analyzer over concurrency 1 to 64: both models of attnserve, and model
attention of a plain Python server (python_server.py), each alone on the machine.

  load.py [--quick] [--json FILE] [--server FILE]

Run by build/interop-venv's Python (tests/run interop makes that). Prints a line a
load; never fails on a figure. README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.append(str(ROOT / "tests/interop"))
from server import Server  # noqa: E402

PROGRAM = pathlib.Path(sys.executable).parent / "perf_analyzer"
LEVELS = (1, 2, 4, 8, 16, 32, 64)
QUICK_LEVELS = (1, 8, 64)
WINDOW_MILLISECONDS = 2000
# Of throughput and latency over three windows.
STABLE_WITHIN_PERCENT = 15
STEPS = 20  # Of a sequence.


def tensor(heads: int, length: int) -> dict:
    """[heads, length, 64]; perf_analyzer puts the batch axis in front."""
    return {"content": [random.gauss(0, 1) for _ in range(heads * length * 64)], "shape": [heads, length, 64]}


def problem(q_len: int, kv_len: int) -> dict:
    return {"Q": tensor(8, q_len), "K": tensor(2, kv_len), "V": tensor(2, kv_len)}


PROBLEMS = {"attention": [problem(16, 256)], "attention_kv": [[problem(1, 1) for _ in range(STEPS)]]}


@contextlib.contextmanager
def attnserve(binary: str) -> Iterator[str]:
    with Server(binary) as server:
        yield server.address()


@contextlib.contextmanager
def python_server(_: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, HERE / "python_server.py", str(port)], stdout=subprocess.PIPE)
    try:
        if not process.stdout.readline():
            raise RuntimeError("python_server.py does not start; its words are above")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def measure(address: str, model: str, concurrency: int, folder: str) -> dict[str, str] | None:
    """One row of perf_analyzer's report; none, and its words to stderr, where its
    windows are not stable."""
    report, inputs = pathlib.Path(folder, "report.csv"), pathlib.Path(folder, "data.json")
    inputs.write_text(json.dumps({"data": PROBLEMS[model]}))
    run = subprocess.run(
        [PROGRAM, "-i", "grpc", "-u", address, "-m", model, "--input-data", inputs, "-f", report,
         "-p", str(WINDOW_MILLISECONDS), "-s", str(STABLE_WITHIN_PERCENT), "--percentile", "50",
         "--concurrency-range", str(concurrency)], capture_output=True, text=True, check=False)
    output = run.stdout + run.stderr
    if run.returncode != 0 or "Failed to obtain stable measurement" in output:
        print(output, file=sys.stderr)
        return None
    return next(csv.DictReader(report.read_text().splitlines()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="concurrency 1, 8 and 64 alone")
    parser.add_argument("--json", default=None, metavar="FILE", help="write {name: inferences a second} there")
    parser.add_argument("--server", default=str(ROOT / "build/release/server/attnserve"), help="path of attnserve")
    arguments = parser.parse_args()
    if not PROGRAM.exists():
        print(f"{PROGRAM} is missing; tests/run interop makes it", file=sys.stderr)
        return 1
    loads = [("attnserve", attnserve, "attention"), ("python", python_server, "attention"),
             ("attnserve", attnserve, "attention_kv")]
    values = {}
    print(f"{'server':<10} {'model':<13} {'clients':>7} {'inferences/s':>13} {'p50 us':>9} {'p99 us':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for name, start, model in loads:
            with start(arguments.server) as address:
                for concurrency in QUICK_LEVELS if arguments.quick else LEVELS:
                    row = measure(address, model, concurrency, folder)
                    if row is None:
                        print(f"{name:<10} {model:<13} {concurrency:>7}    not stable", flush=True)
                        continue
                    rate = float(row["Inferences/Second"])
                    values[f"load.{name}.{model}.c{concurrency}"] = rate
                    print(f"{name:<10} {model:<13} {concurrency:>7} {rate:>13.0f} {row['p50 latency']:>9} "
                          f"{row['p99 latency']:>9}", flush=True)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(values, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
