#!/usr/bin/env python3
"""The service against libraries that compute in the caller's own process.

  peers.py [--quick] [--only PREFIX] [--json FILE] [--list] [--server FILE]

Prints a line a figure as attn_bench does and adds the figures to the JSON. A peer
that cannot be loaded is said to be not installed. Never fails on a figure.
README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pathlib
import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peer import Peer, Way
    from problem import Problem
    from service import Service

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Module and class; what cannot be imported is left out.
PEERS = {"ort": ("ort_peer", "OnnxRuntimePeer"), "torch": ("torch_peer", "TorchPeer"),
         "ggml": ("ggml_peer", "GgmlPeer")}
TARGETS = {"prefill": 1.3, "decode": 2.0}
PROBLEMS = {"prefill": "2048 x 2048, 16 heads", "decode": "1 x 32768, 16 heads on 4"}
CHOOSING_RUNS = 5
HOPELESS = 3  # As many times slower than the best is not tried again.
# From the service's answer. A way that is further off computes something else, and
# its time says nothing. f32 leaves about 1e-6 of outputs that are below 1 here.
LARGEST_DIFFERENCE = 1e-4
# Threads of a pool spin for a while when they are done, and would take the
# server's CPUs.
SECONDS_OF_REST = 0.1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 repetitions instead of 9")
    parser.add_argument("--only", default="", metavar="PREFIX", help="figures of which the name begins so")
    parser.add_argument("--json", default=None, metavar="FILE", help="add the figures to this flat object")
    parser.add_argument("--list", action="store_true", help="only the names")
    parser.add_argument("--server", default=str(ROOT / "build/release/server/attnserve"), help="path of attnserve")
    return parser.parse_args()


def names(peer: str, problem: str) -> list[str]:
    """Of the figures: by the whole round trip, by the server's compute and, of
    prefill, by the round trip with tensors in shared memory."""
    kinds = ["", "_compute", "_shared"] if problem == "prefill" else ["", "_compute"]
    return [f"peer.{peer}.{problem}{kind}_ratio" for kind in kinds]


@dataclass
class Chosen:
    """A peer's fastest way to compute a problem."""

    label: str
    run: Way
    difference: float  # The largest from the service's answer.


@dataclass
class Seconds:
    """Of one repetition."""

    round_trip: float
    compute: float
    peer: float
    shared: float  # 0: not measured.


def load(peer: str) -> Peer:
    """ImportError or OSError where it is not there."""
    module, kind = PEERS[peer]
    return getattr(importlib.import_module(module), kind)()


def seconds_of(run: Way) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def working_ways(peer: Peer, problem: Problem, service: Service) -> list[Chosen]:
    """Those that run and answer what the service does; the others are said to
    stderr. RuntimeError if there is none."""
    import numpy as np

    expected, _, _ = service.run(problem)
    working = []
    for label, run in peer.ways(problem).items():
        try:
            difference = float(np.abs(run() - expected).max())
        except Exception as error:  # pylint: disable=broad-except
            print(f"{peer.name}, {problem.name}, {label}: {error}", file=sys.stderr)
            continue
        if difference <= LARGEST_DIFFERENCE:  # NaN is not.
            working.append(Chosen(label, run, difference))
        else:
            print(f"{peer.name}, {problem.name}, {label}: differs by {difference:.1e}", file=sys.stderr)
    if not working:
        raise RuntimeError("no way works")
    return working


def choose(peer: Peer, problem: Problem, service: Service) -> Chosen:
    """The fastest way, by the best of its runs; in turns, as the machine's speed
    swings."""
    working = working_ways(peer, problem, service)
    best = {way.label: float("inf") for way in working}
    for _ in range(CHOOSING_RUNS):
        hopeless = HOPELESS * min(best.values())
        for way in working:
            if not best[way.label] > hopeless:
                best[way.label] = min(best[way.label], seconds_of(way.run))
    return min(working, key=lambda way: best[way.label])


def measure(chosen: Chosen, problem: Problem, service: Service) -> Seconds:
    """One repetition: the service's median of the problem's runs, then the peer's."""
    time.sleep(SECONDS_OF_REST)
    runs = range(problem.warm_runs + problem.runs)
    ours = [service.run(problem)[1:] for _ in runs][problem.warm_runs:]
    round_trips, computes = zip(*ours)
    shared = ([service.run_shared(problem) for _ in runs][problem.warm_runs:] if problem.name == "prefill" else [0.0])
    peer = statistics.median([seconds_of(chosen.run) for _ in runs][problem.warm_runs:])
    return Seconds(statistics.median(round_trips), statistics.median(computes), peer, statistics.median(shared))


def print_row(name: str, ratios: list[float], target: float | None, what: str) -> float:
    median = statistics.median(ratios)
    goal = f">= {target:<6g} {'met' if median >= target else 'not met':<8}" if target else f"{'':18}"
    print(f"{name:<40} {median:8.3f}  ({min(ratios):.3f} to {max(ratios):.3f})  {goal} {what}", flush=True)
    return median


def report(peer: str, problem: str, chosen: Chosen, found: list[Seconds], wanted: str) -> dict[str, float]:
    whole, compute, *shared = names(peer, problem)
    medians = {field: 1e3 * statistics.median(getattr(one, field) for one in found)
               for field in ("round_trip", "compute", "peer", "shared")}
    rows = [(whole, [one.peer / one.round_trip for one in found], TARGETS[problem],
             f"{PROBLEMS[problem]}: {medians['round_trip']:.1f} ms with the network, {peer} {medians['peer']:.1f} ms "
             f"({chosen.label}), largest difference {chosen.difference:.1e}"),
            (compute, [one.peer / one.compute for one in found], None,
             f"the same by the server's compute time, {medians['compute']:.1f} ms"),
            *[(name, [one.peer / one.shared for one in found], None,
               f"with all tensors in shared memory, {medians['shared']:.1f} ms") for name in shared]]
    return {name: print_row(name, ratios, target, what)
            for name, ratios, target, what in rows if name.startswith(wanted)}


def print_missing(peer: str, wanted: str, problem_names: list[str], why: str) -> None:
    for problem in problem_names:
        for name in names(peer, problem):
            if name.startswith(wanted):
                print(f"{name:<40} {why}", flush=True)


def compare(peer_name: str, problem_names: list[str], service: Service,
            arguments: argparse.Namespace) -> dict[str, float]:
    """All figures of one peer."""
    import problem as problems

    try:
        peer = load(peer_name)
    except (ImportError, OSError) as error:
        print_missing(peer_name, arguments.only, problem_names, f"not installed: {error}")
        return {}
    print(f"{peer_name} {peer.version}", flush=True)
    values: dict[str, float] = {}
    for name in problem_names:
        problem = getattr(problems, name)()
        try:
            chosen = choose(peer, problem, service)
        except RuntimeError as error:
            print_missing(peer_name, arguments.only, [name], str(error))
            continue
        found = [measure(chosen, problem, service) for _ in range(3 if arguments.quick else 9)]
        values |= report(peer_name, name, chosen, found, arguments.only)
    return values


def add_to_json(path: pathlib.Path, values: dict[str, float]) -> None:
    try:
        known = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        known = {}  # attn_bench wrote none, or none of --only.
    path.write_text(json.dumps(dict(sorted((known | values).items())), indent=2) + "\n")


def main() -> int:
    arguments = parse_arguments()
    wanted = {peer: [problem for problem in TARGETS
                     if any(name.startswith(arguments.only) for name in names(peer, problem))] for peer in PEERS}
    wanted = {peer: problem_names for peer, problem_names in wanted.items() if problem_names}
    if arguments.list:
        print("\n".join(name for peer, problem_names in wanted.items() for problem in problem_names
                        for name in names(peer, problem) if name.startswith(arguments.only)))
        return 0
    if not wanted:
        return 0
    try:
        from service import Service
    except ImportError as error:
        print(f"peers: {error.name} is not installed; tests/run interop installs it")
        for peer, problem_names in wanted.items():
            print_missing(peer, arguments.only, problem_names, "not installed")
        return 0
    values: dict[str, float] = {}
    with Service(arguments.server) as service:
        for peer, problem_names in wanted.items():
            values |= compare(peer, problem_names, service, arguments)
    if arguments.json:
        add_to_json(pathlib.Path(arguments.json), values)
    return 0


if __name__ == "__main__":
    sys.exit(main())
