"""M replicas that decode for N sessions: what a call costs, where a session lives,
and the clock that runs them.

A session decodes without end, at its pace or as fast as it is served: a token is one
call for each layer, one after the other, and a call reads the session's keys and
values of that layer once. A replica serves one call at a time, in order of arrival.
After each call of a session `wait_seconds` pass in which no replica is busy with it.
Replicas share nothing.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import random
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Costs:
    """Of one replica: a machine with all its workers."""

    bandwidth: float  # Bytes of keys and values a second.
    call_seconds: float  # For which a call keeps the machine busy, whatever it reads.
    wait_seconds: float = 0.0  # Of a call besides that: network, wake-ups, the caller.


@dataclass(frozen=True)
class Shape:
    """Of a session's keys and values."""

    layers: int = 1
    num_kv_heads: int = 8
    head_dim: int = 128
    element_bytes: int = 4

    @property
    def bytes_of_token(self) -> int:
        """In one layer: a key and a value for each head."""
        return 2 * self.num_kv_heads * self.head_dim * self.element_bytes


@dataclass(frozen=True)
class Load:
    """Sessions that decode."""

    shape: Shape
    lengths: list[int]  # Tokens of each session.
    pace_seconds: float = 0.0  # From one token's start to the next one's, at least.


def service_seconds(costs: Costs, shape: Shape, tokens: int) -> float:
    """For which a call of a session of `tokens` keeps its replica busy."""
    return costs.call_seconds + tokens * shape.bytes_of_token / costs.bandwidth


def closed_formula(costs: Costs, load: Load) -> float:
    """Tokens a second of one replica without waits and pace: every session gets a
    call in each round."""
    round_seconds = sum(service_seconds(costs, load.shape, tokens) for tokens in load.lengths)
    return len(load.lengths) / (load.shape.layers * round_seconds)


def replica_of(session: str, replicas: int) -> int:
    """By rendezvous hashing: the replica with the highest hash together with the
    session. One replica more moves one session in so many, and none between the
    others."""
    def weight(replica: int) -> bytes:
        return hashlib.blake2b(f"{session}/{replica}".encode(), digest_size=8).digest()

    return max(range(replicas), key=weight)


def lognormal_lengths(sessions: int, median: int, sigma: float, longest: int, seed: int) -> list[int]:
    generator = random.Random(seed)
    return [min(longest, max(1, round(generator.lognormvariate(math.log(median), sigma)))) for _ in range(sessions)]


def zipf_lengths(sessions: int, exponent: float, longest: int, seed: int) -> list[int]:
    """longest / rank^exponent, in random order."""
    lengths = [max(1, round(longest / rank**exponent)) for rank in range(1, sessions + 1)]
    random.Random(seed).shuffle(lengths)
    return lengths


@dataclass
class Outcome:
    """What one replica did until the horizon."""

    sessions: int
    kv_bytes: int
    busy_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)  # Of whole tokens, seconds.


def run_replica(costs: Costs, load: Load, horizon: float) -> Outcome:
    """Until `horizon` seconds; calls that are not done by then do not count."""
    shape, lengths = load.shape, load.lengths
    outcome = Outcome(len(lengths), sum(lengths) * shape.bytes_of_token * shape.layers)
    service = [service_seconds(costs, shape, tokens) for tokens in lengths]
    # Paced sessions do not start at once.
    begun = [load.pace_seconds * session / len(lengths) for session in range(len(lengths))]
    layers_done = [0] * len(lengths)
    # (time of arrival, session), a heap; arrivals at one time in order of sessions.
    arrivals = [(time, session) for session, time in enumerate(begun)]
    free_at = 0.0
    while arrivals:
        arrival, session = heapq.heappop(arrivals)
        start = max(arrival, free_at)
        if start >= horizon:
            break
        free_at = start + service[session]
        outcome.busy_seconds += min(free_at, horizon) - start
        done = free_at + costs.wait_seconds
        layers_done[session] += 1
        if layers_done[session] == shape.layers:
            if done <= horizon:
                outcome.latencies.append(done - begun[session])
            done = begun[session] = max(done, begun[session] + load.pace_seconds)
            layers_done[session] = 0
        heapq.heappush(arrivals, (done, session))
    return outcome


@dataclass(frozen=True)
class Prediction:
    """Of all replicas."""

    tokens_per_second: float
    utilisations: list[float]  # Of each replica: the share of the time it is busy.
    sessions: list[int]
    kv_bytes: list[int]
    p50_seconds: float
    p99_seconds: float

    @property
    def imbalance(self) -> float:
        """The fullest replica's bytes over the mean: 1 is even."""
        return max(self.kv_bytes) * len(self.kv_bytes) / sum(self.kv_bytes)


def _percentile(ordered: list[float], percent: float) -> float:
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))]


def assign(lengths: list[int], replicas: int) -> list[list[int]]:
    """The lengths of each replica's sessions."""
    placed: list[list[int]] = [[] for _ in range(replicas)]
    for number, tokens in enumerate(lengths):
        placed[replica_of(f"session-{number}", replicas)].append(tokens)
    return placed


def simulate(costs: Costs, load: Load, replicas: int, horizon: float) -> Prediction:
    """REQUIRES: at least one session, replica and token."""
    outcomes = [run_replica(costs, replace(load, lengths=placed), horizon)
                for placed in assign(load.lengths, replicas)]
    latencies = sorted(seconds for outcome in outcomes for seconds in outcome.latencies)
    return Prediction(
        tokens_per_second=len(latencies) / horizon,
        utilisations=[outcome.busy_seconds / horizon for outcome in outcomes],
        sessions=[outcome.sessions for outcome in outcomes],
        kv_bytes=[outcome.kv_bytes for outcome in outcomes],
        p50_seconds=_percentile(latencies, 50), p99_seconds=_percentile(latencies, 99))
