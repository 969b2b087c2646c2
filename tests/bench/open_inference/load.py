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
import json
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path += [str(ROOT / "tests/interop"), str(ROOT / "tests/interop/open_inference")]
import perf_analyzer  # noqa: E402
from perf_analyzer import problem  # noqa: E402
from server import Server  # noqa: E402

HEAD_DIM = 64
LEVELS = (1, 2, 4, 8, 16, 32, 64)
QUICK_LEVELS = (1, 8, 64)
WINDOW_MILLISECONDS = 2000
# Of throughput and latency over three windows.
STABLE_WITHIN_PERCENT = 15
STEPS = 20  # Of a sequence.
PROBLEMS = {"attention": [problem(16, 256, HEAD_DIM)],
            "attention_kv": [[problem(1, 1, HEAD_DIM) for _ in range(STEPS)]]}


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


def measure(address: str, model: str, concurrency: int) -> dict[str, str] | None:
    """The row of perf_analyzer's report; none, and its words to stderr, where its
    windows are not stable."""
    output, rows = perf_analyzer.run(
        address, model, PROBLEMS[model], "-p", str(WINDOW_MILLISECONDS), "-s", str(STABLE_WITHIN_PERCENT),
        "--percentile", "50", "--concurrency-range", str(concurrency))
    if not rows:
        print(output, file=sys.stderr)
    return rows[0] if rows else None


def report(name: str, model: str, address: str, levels: tuple[int, ...]) -> dict[str, float]:
    """A line a load; inferences a second by name."""
    values = {}
    for concurrency in levels:
        row = measure(address, model, concurrency)
        if row is None:
            print(f"{name:<10} {model:<13} {concurrency:>7}    not stable", flush=True)
            continue
        rate = float(row["Inferences/Second"])
        values[f"load.{name}.{model}.c{concurrency}"] = rate
        print(f"{name:<10} {model:<13} {concurrency:>7} {rate:>13.0f} {row['p50 latency']:>9} "
              f"{row['p99 latency']:>9}", flush=True)
    return values


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="concurrency 1, 8 and 64 alone")
    parser.add_argument("--json", default=None, metavar="FILE", help="write {name: inferences a second} there")
    parser.add_argument("--server", default=str(ROOT / "build/release/server/attnserve"), help="path of attnserve")
    arguments = parser.parse_args()
    if perf_analyzer.PROGRAM is None:
        print("perf_analyzer is missing; tests/run interop installs it", file=sys.stderr)
        return 1
    levels = QUICK_LEVELS if arguments.quick else LEVELS
    values = {}
    print(f"{'server':<10} {'model':<13} {'clients':>7} {'inferences/s':>13} {'p50 us':>9} {'p99 us':>9}")
    for name, start, model in (("attnserve", attnserve, "attention"), ("python", python_server, "attention"),
                               ("attnserve", attnserve, "attention_kv")):
        with start(arguments.server) as address:
            values |= report(name, model, address, levels)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(values, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
