#!/usr/bin/env python3
"""Predicts what M replicas give N sessions of skewed lengths.

  simulate.py [--replicas 1,2,4,8] [--sessions N] [--lengths lognormal|zipf] ...

What a call costs is measured on one machine: check.py --write FILE, then
simulate.py --costs FILE. Without, it is what README.md beside this file says of 2
vCPUs. There is also what the model is.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys

from model import Costs, Load, Prediction, Shape, closed_formula, lognormal_lengths, simulate, zipf_lengths

GIB = 1 << 30
# As many rounds of all sessions as a run lasts on one replica.
ROUNDS = 20


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--replicas", default="1,2,4,8", help="numbers of replicas, one row each")
    add("--sessions", type=int, default=256)
    add("--lengths", choices=("lognormal", "zipf"), default="lognormal", help="of sessions, in tokens")
    add("--median", type=int, default=4096, help="lognormal: the median")
    add("--sigma", type=float, default=1.0, help="lognormal: of the logarithm")
    add("--exponent", type=float, default=0.7, help="zipf: longest / rank^exponent")
    add("--longest", type=int, default=131072, help="no session has more tokens")
    add("--seed", type=int, default=1)
    add("--pace", type=float, default=0.0, help="tokens/s that a session asks for; 0: as fast as it is served")
    add("--layers", type=int, default=32, help="calls of a token")
    add("--kv-heads", type=int, default=8)
    add("--head-dim", type=int, default=128)
    add("--element-bytes", type=int, default=2, help="of a key's or value's element")
    add("--costs", default=None, metavar="FILE", help="written by check.py; wins over the next three")
    add("--bandwidth-gb", type=float, default=47.5, help="GB/s of keys and values that a replica reads")
    add("--call-us", type=float, default=201.0, help="for which a call keeps it busy besides")
    add("--wait-us", type=float, default=274.0, help="of a call in which it is not busy")
    return parser.parse_args()


def costs_of(arguments: argparse.Namespace) -> Costs:
    if arguments.costs:
        return Costs(**json.loads(pathlib.Path(arguments.costs).read_text()))
    return Costs(arguments.bandwidth_gb * 1e9, arguments.call_us / 1e6, arguments.wait_us / 1e6)


def lengths_of(arguments: argparse.Namespace) -> list[int]:
    if arguments.lengths == "zipf":
        return zipf_lengths(arguments.sessions, arguments.exponent, arguments.longest, arguments.seed)
    return lognormal_lengths(arguments.sessions, arguments.median, arguments.sigma, arguments.longest, arguments.seed)


def horizon_of(costs: Costs, load: Load) -> float:
    """Seconds in which one replica serves every session about ROUNDS tokens."""
    return ROUNDS * (len(load.lengths) / closed_formula(costs, load) + load.shape.layers * costs.wait_seconds)


def row(replicas: int, prediction: Prediction, alone: float) -> str:
    busy = prediction.utilisations
    return (f"| {replicas} | {prediction.tokens_per_second:.1f} | {prediction.tokens_per_second / alone:.2f} "
            f"| {min(busy):.2f}, {statistics.mean(busy):.2f}, {max(busy):.2f} | {prediction.imbalance:.2f} "
            f"| {1e3 * prediction.p50_seconds:.0f}, {1e3 * prediction.p99_seconds:.0f} "
            f"| {min(prediction.sessions)} to {max(prediction.sessions)} | {max(prediction.kv_bytes) / GIB:.1f} |")


def main() -> int:
    arguments = parse_arguments()
    costs, lengths = costs_of(arguments), lengths_of(arguments)
    shape = Shape(arguments.layers, arguments.kv_heads, arguments.head_dim, arguments.element_bytes)
    load = Load(shape, lengths, 1 / arguments.pace if arguments.pace else 0.0)
    horizon = horizon_of(costs, load)
    print(f"{len(lengths)} sessions of {min(lengths)} to {max(lengths)} tokens, median "
          f"{statistics.median(lengths):.0f}, mean {statistics.mean(lengths):.0f}; {shape.layers} layers, "
          f"{shape.bytes_of_token} bytes a token and layer\n"
          f"a call: {costs.bandwidth / 1e9:.1f} GB/s, {1e6 * costs.call_seconds:.0f} us busy, "
          f"{1e6 * costs.wait_seconds:.0f} us not; seed {arguments.seed}; a session asks for "
          f"{f'{arguments.pace:g} tokens/s' if arguments.pace else 'as many tokens as it gets'}\n")
    print("| replicas | tokens/s | over the first row | busy: least, mean, most | imbalance "
          "| token p50, p99 ms | sessions | GiB of the fullest |\n|---|---|---|---|---|---|---|---|")
    alone = None
    for replicas in map(int, arguments.replicas.split(",")):
        prediction = simulate(costs, load, replicas, horizon)
        alone = alone or prediction.tokens_per_second
        print(row(replicas, prediction, alone), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
