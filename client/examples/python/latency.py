"""Latency against concurrency, as a Python program with threads sees it.

  latency.py [--target HOST:PORT] [--requests 400] [--out latency.svg]

1 to 64 threads share a client, and each sends its next request when the last one is
answered: 16 rows, 256 keys, 8 heads of dim 64, f32. What this program takes for
itself counts, too; `attnctl bench` shows the server alone.
"""

from __future__ import annotations

import argparse
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import attnserve
from line_chart import LineChart

CONCURRENCY = (1, 2, 4, 8, 16, 32, 64)
ROWS, KEYS, HEADS, DIM = 16, 256, 8, 64


def measure(client: attnserve.Client, concurrency: int, requests: int) -> tuple[float, float, float]:
    """Median and 99th percentile in milliseconds, and requests per second."""
    random = np.random.default_rng(concurrency)
    query, key, value = (random.standard_normal((1, HEADS, length, DIM), np.float32) for length in (ROWS, KEYS, KEYS))

    def ask(_: int) -> float:
        started = time.perf_counter()
        client.attend(query, key, value)
        return time.perf_counter() - started

    with ThreadPoolExecutor(concurrency) as threads:
        list(threads.map(ask, range(concurrency)))  # Warms up.
        started = time.perf_counter()
        seconds = list(threads.map(ask, range(requests)))
        elapsed = time.perf_counter() - started
    median, tail = 1e3 * np.percentile(seconds, (50, 99))
    return float(median), float(tail), requests / elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="127.0.0.1:8001")
    parser.add_argument("--requests", default=400, type=int, help="of each concurrency")
    parser.add_argument("--out", default="latency.svg", type=pathlib.Path)
    arguments = parser.parse_args()
    medians, tails = [], []
    print("concurrency   p50 ms   p99 ms  requests/s")
    with attnserve.Client(arguments.target) as client:
        for concurrency in CONCURRENCY:
            median, tail, rate = measure(client, concurrency, arguments.requests)
            print(f"{concurrency:11} {median:8.2f} {tail:8.2f} {rate:11.0f}")
            medians.append(median)
            tails.append(tail)
    title = f"Latency of {ROWS} rows, {KEYS} keys, {HEADS} heads of dim {DIM}, f32"
    chart = LineChart(title, "requests under way", "ms", CONCURRENCY, {"p50": medians, "p99": tails})
    arguments.out.write_text(chart.svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
