"""Layers over three real servers without a proxy, each with the same checkpoint."""

import contextlib

import numpy as np
import pytest

import attnserve
from attnserve import ForwardRequest, ShardedClient, errors
from checkpoint import HEADS, HIDDEN, TinyBert
from fleet import Fleet

SPEC = {"num_kv_heads": HEADS, "head_dim": HIDDEN // HEADS}
ONCE = attnserve.RetryPolicy(max_attempts=1)
NAME = "tiny-bert/0"


@pytest.fixture
def fleet(binary, tmp_path):
    TinyBert().write(tmp_path / "models/tiny-bert")
    with contextlib.ExitStack() as stack:
        yield Fleet(binary, tmp_path, stack, "--layers", str(tmp_path / "models"), "--layer-loading")


@pytest.fixture
def hidden(tensors):
    return tensors((1, 2, HIDDEN))[0]


def test_forward_without_a_session_passes_over_lost_servers(fleet, hidden):
    with ShardedClient(fleet.addresses, retry=ONCE) as sharded:
        whole = sharded.forward(NAME, hidden).output
        fleet.kill(1)
        for _ in range(6):
            np.testing.assert_array_equal(sharded.forward(NAME, hidden).output, whole)
        fleet.kill(0)
        fleet.kill(2)
        with pytest.raises(errors.UnavailableError) as raised:
            sharded.forward(NAME, hidden)
        assert raised.value.server in fleet.addresses


def test_batches_pass_over_a_server_that_was_away(fleet, hidden):
    with ShardedClient(fleet.addresses, retry=ONCE, away_pause=60.0) as sharded:
        fleet.kill(0)
        with pytest.raises(errors.UnavailableError, match=fleet.addresses[0]):
            sharded.forward_batch([ForwardRequest(NAME, hidden)])
        for _ in range(4):
            sharded.forward_batch([ForwardRequest(NAME, hidden)])[0].unwrap()


def test_forward_with_a_session_goes_to_its_server(fleet, hidden):
    with ShardedClient(fleet.addresses) as sharded:
        whole = sharded.forward(NAME, hidden, causal="top_left").output
        for n in range(3):
            session = sharded.create_session(session_id=fleet.id_on(n), **SPEC)
            steps = [sharded.forward(NAME, hidden[:, at:at + 1], session_id=session.session_id, expected_length=at)
                     for at in range(2)]
            assert steps[1].session_length == 2
            np.testing.assert_allclose(np.concatenate([step.output for step in steps], axis=1), whole, atol=1e-5)
            session.refresh()
            attnserve.Layer(NAME)(hidden, session=session)  # As its session's client has it.
            assert session.length() == 4


def test_server_without_the_layer_is_named(fleet, hidden):
    with ShardedClient(fleet.addresses) as sharded:
        sharded.clients[1].unload_layer(NAME)
        with pytest.raises(errors.NotFoundError) as raised:
            for _ in range(3):
                sharded.forward(NAME, hidden)
        assert (raised.value.reason, raised.value.server) == ("LAYER_NOT_LOADED", fleet.addresses[1])


def test_session_that_forward_finds_missing_is_restored(fleet, hidden):
    def restore(lost, client):
        session = client.create_session(session_id=lost.session_id, **SPEC)
        attnserve.Layer(NAME, client)(hidden, session=session)

    with ShardedClient(fleet.addresses, restore=restore) as sharded:
        answer = sharded.forward(NAME, hidden, session_id=fleet.id_on(2), expected_length=2)
        assert answer.session_length == 4


def test_batches_go_where_their_sessions_are(fleet, hidden):
    with ShardedClient(fleet.addresses) as sharded:
        requests = []
        for n in range(12):
            name = sharded.create_session(session_id=f"s{n}", **SPEC).session_id if n % 3 else ""
            requests.append(ForwardRequest(NAME, hidden, session_id=name, request_id=str(n)))
        requests.append(ForwardRequest(NAME, hidden, session_id="nobody", request_id="12"))
        results = sharded.forward_batch(requests)
        assert [result.request_id for result in results] == [str(n) for n in range(13)]
        assert [result.error is None for result in results] == [True] * 12 + [False]
        assert [result.unwrap().session_length for result in results[:12]] == [2 if n % 3 else 0 for n in range(12)]
