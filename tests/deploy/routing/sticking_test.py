"""What a proxy must do for sessions, whichever proxy it is: three real servers, a
real proxy, the Python client."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import attnserve
from attnserve import errors
from fleet import COUNT, Member, wait_until
from proxies import MOVES, Proxy

SPEC = {"num_kv_heads": 1, "head_dim": 8}
SESSIONS = [f"s{n}" for n in range(300)]
UNKNOWN, AWAY = "NOT_FOUND SESSION_NEVER_EXISTED", "UNAVAILABLE"
# What a session's call says as long as its server is gone.
LOST = UNKNOWN if MOVES else AWAY


@contextlib.contextmanager
def clients(address: str, count: int = COUNT) -> Iterator[list[attnserve.Client]]:
    """Of one connection each, so that nothing can stick to a connection, and without
    retries: every call that fails is seen."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(attnserve.Client(
            address, retry=attnserve.RetryPolicy(max_attempts=1),
            channel_options=[("grpc.use_local_subchannel_pool", 1)])) for _ in range(count)]


@pytest.fixture
def created(members: list[Member], proxy: Proxy) -> list[set[str]]:
    """The ids of SESSIONS, made through the proxy, by the server that has them."""
    with clients(proxy.address) as through:
        for n, name in enumerate(SESSIONS):
            through[n % COUNT].create_session(session_id=name, **SPEC)
    return [member.session_ids() for member in members]


def outcome(client: attnserve.Client, name: str) -> str:
    """"found", or the code and reason that say why not."""
    try:
        client.open_session(name)
    except (errors.UnavailableError, errors.NotFoundError) as error:
        return f"{error.code.name} {error.reason}".strip()
    return "found"


def outcomes(client: attnserve.Client, names: set[str]) -> set[str]:
    return {outcome(client, name) for name in names}


def test_no_session_moves_while_nothing_changes(proxy, created):
    assert set.union(*created) == set(SESSIONS) and sum(map(len, created)) == len(SESSIONS)
    # 1600 places on the ring each: shares within a third of even ones.
    assert all(67 <= len(names) <= 133 for names in created), list(map(len, created))
    with clients(proxy.address) as through:
        for turn in range(2):
            for n, name in enumerate(SESSIONS):
                through[(n + turn) % COUNT].open_session(name)


def test_calls_without_a_session_go_to_every_server(members, proxy, tensors):
    query, key, value = tensors((1, 1, 1, 8), (1, 1, 4, 8), (1, 1, 4, 8))
    with clients(proxy.address, 1) as (client,):
        for _ in range(60):
            client.attend(query, key, value)
    tasks = [member.admitted_tasks() for member in members]
    assert sum(tasks) == 60 and min(tasks) >= 8, tasks


def test_fork_named_after_its_source_is_found(proxy):
    with clients(proxy.address, 1) as (client,):
        for n in range(30):
            client.create_session(session_id=f"chat{n}", **SPEC).fork(f"chat{n}--draft").fork(f"chat{n}--draft--2")
        for n in range(30):
            client.open_session(f"chat{n}--draft--2").append(*np.ones((2, 1, 1, 3, 8), np.float32))


def test_killed_server_takes_its_own_sessions_alone(members, proxy, created, tensors):
    lost, kept = created[1], created[0] | created[2]
    members[1].running().kill()
    with clients(proxy.address, 1) as (client,):
        # At once: a failed call is a typed one, whether or not the proxy knows yet.
        assert outcomes(client, lost) <= {UNKNOWN, AWAY}
        assert outcomes(client, kept) == {"found"}
        wait_until(lambda: outcomes(client, lost) == {LOST}, "the proxy sees it")
        assert outcomes(client, kept) == {"found"}
        query, key, value = tensors((1, 1, 1, 8), (1, 1, 4, 8), (1, 1, 4, 8))
        for _ in range(30):
            client.attend(query, key, value)


def test_returning_server_takes_back_its_own_alone(members, proxy, created):
    lost, kept = created[2], created[0] | created[1]
    members[2].running().kill()
    with clients(proxy.address, 1) as (client,):
        wait_until(lambda: outcomes(client, lost) == {LOST}, "the proxy sees it")
        first = sorted(lost)[0]
        if MOVES:  # On another server, as long as its own is away.
            client.create_session(session_id=first, **SPEC)
        members[2].start()
        wait_until(lambda: outcome(client, first) == UNKNOWN, "its own server is back")
        for name in lost:
            client.create_session(session_id=name, **SPEC)
        assert members[2].session_ids() == lost
        assert outcomes(client, kept | lost) == {"found"}


def test_drained_server_loses_no_call(members, proxy, created, tensors):
    query, key, value = tensors((1, 2, 16, 16), (1, 2, 256, 16), (1, 2, 256, 16))
    kept, failures, calls = created[1] | created[2], [], [0] * 4
    is_over = threading.Event()

    def attend(n: int) -> None:
        with clients(proxy.address, 1) as (client,):
            while not is_over.is_set():
                try:
                    client.attend(query, key, value)
                    client.open_session(sorted(kept)[calls[n] % len(kept)])
                    calls[n] += 1
                except errors.AttnError as error:
                    failures.append(error)

    threads = [threading.Thread(target=attend, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: min(calls) >= 5, "calls run")
    assert members[0].running().stop() == 0
    done = min(calls)
    wait_until(lambda: min(calls) >= done + 5, "calls run without it")
    is_over.set()
    for thread in threads:
        thread.join()
    assert not failures


def test_large_messages_pass_unchanged(members, proxy, tensors):
    """64 MiB there in one message, and 32 MiB back; the same bytes as without a proxy."""
    query, key, value = tensors((1, 1, 2, 64), (1, 1, 131072, 64), (1, 1, 131072, 64))
    wide = tensors((1, 1, 131072, 64), (1, 1, 1, 64), (1, 1, 1, 64))
    with attnserve.Client(proxy.address) as through, attnserve.Client(members[0].address) as direct:
        for request in ((query, key, value), wide):
            assert np.array_equal(through.attend(*request).output, direct.attend(*request).output)


def test_snapshots_pass_both_ways(proxy, tensors):
    key, value = tensors((1, 1, 131072, 64), (1, 1, 131072, 64))
    with attnserve.Client(proxy.address) as client:
        with client.create_session(session_id="whole", num_kv_heads=1, head_dim=64) as session:
            session.append(key, value)
            file = io.BytesIO()
            assert session.export(file) > 64 << 20
        file.seek(0)
        with client.import_session(file, "copy") as copy:
            assert copy.length() == 131072
            assert client.open_session("copy").length() == 131072


def test_long_streams_pass(proxy, tensors):
    """2000 appends to one session, each in the place that it expects; results come as they finish."""
    query, key, value = tensors((1, 1, 1, 8), (1, 1, 1, 8), (1, 1, 1, 8))
    with attnserve.Client(proxy.address) as client:
        client.create_session(session_id="stream", **SPEC)
        requests = (attnserve.AttendRequest(query, key, value, session_id="stream", expected_length=n)
                    for n in range(2000))
        results = client.attend_stream(requests, metadata=[("attn-session-id", "stream")])
        assert sorted(result.unwrap().session_length for result in results) == list(range(1, 2001))
