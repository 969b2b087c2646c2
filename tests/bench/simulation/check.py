#!/usr/bin/env python3
"""Measures what a call costs on this machine, and checks the model against it.

  check.py [--write FILE] [--repetitions N] [--server FILE] [--attnctl FILE]

Runs a real attnserve and `attnctl bench --sessions`. What one session costs is all
that the predictions for several sessions and other lengths know: nothing is fitted.
Exit code 77 where server or attnctl are not built.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass

from model import Costs, Load, Shape, simulate

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "tests/interop"))
from server import Server  # noqa: E402

BUILD = ROOT / "build/release"
SHAPE = Shape(layers=1, num_kv_heads=8, head_dim=128, element_bytes=4)
NUM_Q_HEADS = 32
CPUS = len(os.sched_getaffinity(0))
# One session's keys and values are more than a cache holds.
MEASURED_TOKENS, MEASURED_STEPS, FEW_STEPS = 8192, 256, 8
# (sessions, tokens of each)
PREDICTED = ((1, 8192), (2, 8192), (4, 8192), (8, 8192), (16, 8192), (64, 2048), (4, 32768), (4, 512))
STEPS = 32


def cpu_seconds_besides_compute(server: Server) -> float:
    """Of all its threads but the workers, which are the nicest."""
    threads = []
    for folder in pathlib.Path(f"/proc/{server.pid}/task").iterdir():
        nice = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[16])
        threads.append((nice, int((folder / "schedstat").read_text().split()[0]) / 1e9))
    nicest = max(nice for nice, _ in threads)
    return sum(seconds for nice, seconds in threads if nice < nicest)


@dataclass
class Run:
    """One attnctl bench."""

    figures: dict[str, float]
    cpu_seconds: float  # Of client and server, without computing.


def bench(attnctl: str, server: Server, sessions: int, tokens: int, steps: int) -> Run:
    """RuntimeError where it fails."""
    before = cpu_seconds_besides_compute(server)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        done = subprocess.run(
            [attnctl, "--address", server.address(), "bench", "--sessions", str(sessions), "--layers", str(SHAPE.layers),
             "--heads", str(NUM_Q_HEADS), "--kv-heads", str(SHAPE.num_kv_heads), "--head-dim", str(SHAPE.head_dim),
             "--prefix", str(tokens), "--steps", str(steps), "--json", file.name],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise RuntimeError(f"attnctl bench left with {done.returncode}: {done.stdout}{done.stderr}")
        figures = json.loads(pathlib.Path(file.name).read_text())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    client = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    return Run(figures, cpu_seconds_besides_compute(server) - before + client)


def measure_costs(attnctl: str, server: Server) -> Costs:
    """Of one session alone. What making it costs is taken away as what a run of
    few steps costs."""
    few = bench(attnctl, server, 1, MEASURED_TOKENS, FEW_STEPS)
    many = bench(attnctl, server, 1, MEASURED_TOKENS, MEASURED_STEPS)
    compute = many.figures["server_compute_mean_ms"] / 1e3
    cpu = (many.cpu_seconds - few.cpu_seconds) / (MEASURED_STEPS - FEW_STEPS)
    call = max(0.0, cpu / CPUS)
    wait = max(0.0, many.figures["call_mean_ms"] / 1e3 - compute - call)
    return Costs((MEASURED_TOKENS + MEASURED_STEPS / 2) * SHAPE.bytes_of_token / compute, call, wait)


def median_costs(found: list[Costs]) -> Costs:
    """Field by field."""
    return Costs(*(statistics.median(getattr(costs, name) for costs in found)
                   for name in ("bandwidth", "call_seconds", "wait_seconds")))


def check(costs: Costs, attnctl: str, server: Server, repetitions: int) -> None:
    print("\n| sessions | tokens each | predicted tokens/s | measured (lowest to highest) | predicted over measured "
          "| token p50 ms: predicted, measured |\n|---|---|---|---|---|---|")
    for sessions, tokens in PREDICTED:
        load = Load(SHAPE, [tokens + STEPS // 2] * sessions)
        predicted = simulate(costs, load, 1, horizon=100 * sessions / costs.bandwidth * SHAPE.bytes_of_token * tokens)
        runs = [bench(attnctl, server, sessions, tokens, STEPS).figures for _ in range(repetitions)]
        rates = [run["tokens_per_second"] for run in runs]
        measured = statistics.median(rates)
        p50 = statistics.median(run["token_p50_ms"] for run in runs)
        print(f"| {sessions} | {tokens} | {predicted.tokens_per_second:.0f} | {measured:.0f} "
              f"({min(rates):.0f} to {max(rates):.0f}) | {predicted.tokens_per_second / measured:.2f} "
              f"| {1e3 * predicted.p50_seconds:.2f}, {p50:.2f} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", default=None, metavar="FILE", help="the costs, for simulate.py --costs")
    parser.add_argument("--repetitions", type=int, default=5, help="of which the median counts")
    parser.add_argument("--server", default=str(BUILD / "server/attnserve"))
    parser.add_argument("--attnctl", default=str(BUILD / "client/cpp/attnctl"))
    arguments = parser.parse_args()
    for path in (arguments.server, arguments.attnctl):
        if not pathlib.Path(path).is_file():
            print(f"skipped: {path} is not built")
            return 77
    with Server(arguments.server) as server:
        bench(arguments.attnctl, server, 1, MEASURED_TOKENS, FEW_STEPS)  # Warms up.
        costs = median_costs([measure_costs(arguments.attnctl, server) for _ in range(arguments.repetitions)])
        print(f"one session of {MEASURED_TOKENS} tokens, {SHAPE.bytes_of_token} bytes each: "
              f"{costs.bandwidth / 1e9:.1f} GB/s; a call keeps the machine busy for {1e6 * costs.call_seconds:.0f} us "
              f"besides, and takes {1e6 * costs.wait_seconds:.0f} us more", flush=True)
        if arguments.write:
            pathlib.Path(arguments.write).write_text(json.dumps(asdict(costs), indent=2) + "\n")
        check(costs, arguments.attnctl, server, arguments.repetitions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
