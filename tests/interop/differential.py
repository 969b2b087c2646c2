#!/usr/bin/env python3
"""Random requests to a real server, compared with a NumPy oracle and with other
implementations of attention. README.md beside this file says what differs.

  differential.py [--server PATH] [--cases N] [--seed S] [--case I] [--peers NAME,...]

Exit code 0: all agree; 1: a violation, with a command that replays it.
"""

from __future__ import annotations

import argparse
import importlib
import pathlib
import secrets
import sys
import time

import grpc

import bounds
import checks
import oracle
from case import Case
from client import Client
from generator import generate
from peers.peer import Peer, Unsupported
from report import Report
from server import Server
from wire import Codec

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Module, class; in the order of the report.
PEERS = {
    "onnxruntime": ("peers.onnx_peers", "OnnxRuntimePeer"),
    "onnx-reference": ("peers.onnx_peers", "OnnxReferencePeer"),
    "torch-sdpa": ("peers.torch_peers", "SdpaPeer"),
    "torch-flex": ("peers.torch_peers", "FlexPeer"),
    "torch-eager": ("peers.torch_peers", "EagerPeer"),
}
SHOWN_VIOLATIONS = 20


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=str(ROOT / "build/release/server/attnserve"), help="path of attnserve")
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--case", type=int, default=None, help="run this case of the seed alone, with every difference")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {','.join(PEERS)}; empty: the oracle alone")
    parser.add_argument("--allow-not-served", action="store_true",
                        help="count what the server does not serve instead of failing")
    return parser.parse_args()


def load_peers(names: list[str]) -> list[Peer]:
    """Those that can be imported; a line for each."""
    found = []
    for name in names:
        module, kind = PEERS[name]
        try:
            peer = getattr(importlib.import_module(module), kind)()
        except (ImportError, OSError) as error:
            print(f"  {name}: left out, {error}")
            continue
        print(f"  {name} {peer.version}")
        found.append(peer)
    return found


class Differential:
    """A run: asks, compares, reports."""

    def __init__(self, client: Client, peers: list[Peer], arguments: argparse.Namespace) -> None:
        self.report = Report()
        self.violations = 0
        self._client, self._peers, self._arguments = client, peers, arguments
        self._codec = Codec(client)

    def check(self, case: Case) -> None:
        self.report.cases += 1
        try:
            response = self._client.attend(self._codec.request(case))
        except grpc.RpcError as error:
            self._refused(case, error)
            return
        answer = self._codec.answer(case, response)
        expected = oracle.attend(case)
        bound = bounds.tolerance(case, expected, bounds.server_unit(case), case.result_dtype)
        found = checks.with_oracle(case, answer, expected, bound)
        self.report.add("oracle", case, max(difference.ratio for difference in found.values()))
        self.report.add_errors(case, found, expected.is_ordinary())
        for difference in found.values():
            self._judge(case, difference)
        for peer in self._peers:
            try:
                other = peer.compute(case)
            except Unsupported as reason:
                self.report.left_out[peer.name][str(reason)] += 1
                continue
            except Exception as error:  # pylint: disable=broad-except
                self._violation(case, f"{peer.name} failed: {type(error).__name__}: {str(error)[:300]}")
                continue
            peer_bound = bounds.tolerance(case, expected, other.unit, other.result_dtype, other.result_dtype)
            difference = checks.with_peer(peer.name, case, answer, other, bound, peer_bound)
            self.report.add(peer.name, case, difference.ratio)
            self._judge(case, difference)

    def _refused(self, case: Case, error: grpc.RpcError) -> None:
        code, words = error.code(), error.details() or ""
        if code == grpc.StatusCode.UNIMPLEMENTED and words.endswith("is not served by this version"):
            self.report.not_served[words] += 1
            if self._arguments.allow_not_served:
                return
        self._violation(case, f"the server answered {code.name}: {words}")

    def _judge(self, case: Case, difference: bounds.Difference) -> None:
        if difference.ratio > 1:
            self._violation(case, difference.where)
        elif self._arguments.case is not None and difference.where:
            print(f"  {difference.ratio:.3f} of the bound: {difference.where}")

    def _violation(self, case: Case, words: str) -> None:
        self.violations += 1
        if self.violations <= SHOWN_VIOLATIONS:
            print(f"VIOLATION in case {case.index}: {words}\n  {case.describe()}\n"
                  f"  replay: tests/interop/run --seed {case.seed} --case {case.index}", flush=True)


def main() -> int:
    arguments = parse_arguments()
    if not pathlib.Path(arguments.server).is_file():
        print(f"skipped: {arguments.server} is not built")
        return 77
    seed = arguments.seed if arguments.seed is not None else secrets.randbits(32)
    cases = range(arguments.cases) if arguments.case is None else [arguments.case]
    print(f"{len(cases)} cases of seed {seed}, compared with the NumPy oracle and")
    peers = load_peers([name for name in arguments.peers.split(",") if name])
    started = time.monotonic()
    with Server(arguments.server) as server, Client(server.address()) as client:
        run = Differential(client, peers, arguments)
        for index in cases:
            case = generate(seed, index)
            if arguments.case is not None:
                print(case.describe())
            run.check(case)
        code = server.stop()
    print("\n" + run.report.text() + "\n")
    print(f"seed {seed}: {run.report.cases} cases in {time.monotonic() - started:.0f} s, "
          f"{run.violations} violations, {run.report.not_served.total()} not served, server's exit code {code}")
    return 1 if run.violations or code != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
