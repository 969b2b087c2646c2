"""Sessions over three real servers without a proxy."""

import contextlib
import io

import numpy as np
import pytest

import attnserve
from attnserve import AttendRequest, ShardedClient, errors
from fleet import Fleet

SPEC = {"num_kv_heads": 1, "head_dim": 8}
ONE = np.ones((1, 1, 1, 8), np.float32)
ONCE = attnserve.RetryPolicy(max_attempts=1)


@pytest.fixture
def fleet(binary, tmp_path):
    with contextlib.ExitStack() as stack:
        yield Fleet(binary, tmp_path, stack)


def test_sessions_are_where_their_ids_say(fleet):
    with ShardedClient(fleet.addresses) as sharded, ShardedClient(fleet.addresses[::-1]) as other:
        for n in range(60):
            sharded.create_session(session_id=f"s{n}", **SPEC)
            assert other.open_session(f"s{n}").append(ONE, ONE) == 1
        assert len(list(sharded.list_sessions())) == 60
        assert min(len(list(client.list_sessions())) for client in sharded.clients) >= 8


def test_forks_stay_with_their_source(fleet):
    with ShardedClient(fleet.addresses) as sharded:
        for _ in range(20):
            session = sharded.create_session(**SPEC)
            fork = session.fork()
            assert fork.session_id.startswith(session.session_id + "--")
            assert sharded.open_session(fork.session_id).append(ONE, ONE) == 1
        with pytest.raises(ValueError, match="must be 'chat--' and more"):
            sharded.create_session(session_id="chat", **SPEC).fork("draft")
        assert sharded.open_session("chat").fork("chat--draft").session_id == "chat--draft"


def test_calls_without_a_session_pass_over_lost_servers(fleet):
    with ShardedClient(fleet.addresses, retry=ONCE) as sharded:
        fleet.kill(1)
        for _ in range(9):
            assert np.array_equal(sharded.attend(ONE, ONE, ONE).output, ONE)
        fleet.kill(0)
        fleet.kill(2)
        with pytest.raises(errors.UnavailableError) as raised:
            sharded.attend(ONE, ONE, ONE)
        assert raised.value.server in fleet.addresses


def test_lost_server_loses_its_sessions_alone(fleet):
    with ShardedClient(fleet.addresses, retry=ONCE) as sharded:
        sessions = [sharded.create_session(session_id=fleet.id_on(n), **SPEC) for n in range(3)]
        fleet.kill(1)
        with pytest.raises(errors.UnavailableError, match=fleet.addresses[1]) as raised:
            sessions[1].append(ONE, ONE)
        assert raised.value.server == fleet.addresses[1]
        assert [sessions[n].append(ONE, ONE) for n in (0, 2)] == [1, 1]
        fleet.restart(1)
        with ShardedClient(fleet.addresses) as again, pytest.raises(errors.NotFoundError) as raised:
            again.open_session(fleet.id_on(1))
        assert raised.value.reason == "SESSION_NEVER_EXISTED" and raised.value.server == fleet.addresses[1]


def test_lost_session_is_restored_by_its_caller(fleet):
    seen = []

    def restore(lost, client):
        seen.append((lost.session_id, lost.address, lost.error.reason))
        client.create_session(session_id=lost.session_id, **SPEC).append(ONE, ONE)

    with ShardedClient(fleet.addresses, restore=restore) as sharded:
        name = fleet.id_on(2)
        assert sharded.open_session(name).append(ONE, ONE) == 2
        assert seen == [(name, fleet.addresses[2], "SESSION_NEVER_EXISTED")]
        sharded.open_session(name).delete()
        with pytest.raises(errors.NotFoundError) as raised:  # Deleted by someone: no loss.
            sharded.open_session(name)
        assert raised.value.reason == "SESSION_DELETED" and len(seen) == 1


def test_restore_that_fails_is_the_callers_to_see(fleet):
    def restore(lost, client):
        client.open_session(lost.session_id)  # Is not there, and is not restored again.

    with ShardedClient(fleet.addresses, restore=restore) as sharded:
        with pytest.raises(errors.NotFoundError):
            sharded.open_session("gone")


def test_batches_and_snapshots_go_where_their_sessions_are(fleet):
    with ShardedClient(fleet.addresses) as sharded:
        requests = []
        for n in range(12):
            session = sharded.create_session(session_id=f"s{n}", **SPEC)
            requests.append(session.request(ONE, ONE, ONE) if n % 3 else AttendRequest(ONE, ONE, ONE))
        requests.append(AttendRequest(ONE, session_id="nobody"))
        results = sharded.attend_batch(requests)
        assert [result.error is None for result in results] == [True] * 12 + [False]
        for n in range(1, 12, 3):
            file = io.BytesIO()
            with sharded.open_session(f"s{n}") as session:
                session.export(file)
                session.delete()
            file.seek(0)
            assert sharded.import_session(file, f"s{n}").length() == 1
        with pytest.raises(ValueError, match="must not be empty"):
            sharded.import_session(io.BytesIO(), "")


@pytest.mark.parametrize("addresses", [[], ["a:1", "a:1"]])
def test_lists_that_cannot_be_are_refused(addresses):
    with pytest.raises(ValueError, match="some that differ"):
        ShardedClient(addresses)
