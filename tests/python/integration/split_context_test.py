"""A context on three servers answers what one server with all of it does."""

import contextlib

import numpy as np
import pytest

import attention
import attnserve
from attnserve import Rope, SplitContext, errors
from server import Server

LENGTH, PART = 150, 40  # 40, 40 and 70 tokens.
SPEC = {"num_kv_heads": 2, "head_dim": 16, "value_head_dim": 8}


@pytest.fixture(scope="module")
def clients(binary):
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(binary)) for _ in range(3)]
        yield [stack.enter_context(attnserve.Client(server.address())) for server in servers]


@pytest.fixture
def context(clients):
    with SplitContext(clients, PART, num_layers=2, **SPEC) as context:
        yield context


@pytest.fixture
def whole(client):
    with client.create_session(num_layers=2, **SPEC) as session:
        yield session


@pytest.fixture
def tokens(tensors):
    return tensors((1, 4, 5, 16), (1, 2, LENGTH, 16), (1, 2, LENGTH, 8))


def fill(context, whole, tokens, rope=None):
    """Both, in pieces that end on and off the borders of parts."""
    _, key, value = tokens
    for begin, end in zip((0, 1, 40, 75, 81, 149), (1, 40, 75, 81, 149, LENGTH)):
        assert context.append(key[:, :, begin:end], value[:, :, begin:end], rope=rope) == end
    whole.append(key, value, rope=rope)


def close(found, expected):
    np.testing.assert_allclose(found.output, expected.output, atol=attention.TOLERANCE)
    np.testing.assert_allclose(found.lse, expected.lse, atol=attention.TOLERANCE)


OPTIONS = {
    "none": {}, "causal": {"causal": "bottom_right"}, "offset": {"causal": "bottom_right", "causal_offset": 60},
    "before all": {"causal": "bottom_right", "causal_offset": -3},
    "window": {"causal": "bottom_right", "left_window": 20}, "right window": {"causal_offset": 70, "right_window": 5},
    "alibi": {"causal": "bottom_right", "alibi_slopes": [0.5, 0.25, 0.125, 0.1]},
    "alibi alone": {"alibi_slopes": [0.01] * 4},
    "sinks": {"causal": "bottom_right", "sinks": [1.0, 0.0, -1.0, 2.0]},
    "sinks and window": {"causal": "bottom_right", "left_window": 3, "sinks": [1.0, 0.0, -1.0, 2.0]},
    "softcap and scale": {"softcap": 2.0, "scale": 0.7},
    "short mask of 1": {"attn_mask": np.array([[0.5]], np.float32)},
    "mask": {"attn_mask": np.random.default_rng(1).random((4, 1, LENGTH)) < 0.5},
    "mask of one part": {"attn_mask": np.arange(LENGTH)[None] < 17},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_parts_answer_what_the_whole_does(context, whole, tokens, name):
    fill(context, whole, tokens)
    assert [session.length() for session in context.sessions] == [40, 40, 70]
    options = dict(OPTIONS[name])
    found = context.attend(tokens[0], **options)
    close(found, whole.attend(tokens[0], return_lse=True, **options))


def test_rope_turns_by_places_in_the_whole(context, whole, tokens):
    rope = Rope(base=10000)
    fill(context, whole, tokens, rope)
    options = {"causal": "bottom_right", "rope": rope}
    close(context.attend(tokens[0], **options), whole.attend(tokens[0], return_lse=True, **options))


def test_decode_step_by_step(context, whole, tokens):
    query, key, value = tokens
    fill(context, whole, tokens)
    for at in range(3):
        step = [array[:, :, at:at + 1] for array in (query, key, value)]
        context.append(*step[1:])
        close(context.attend(step[0], causal="bottom_right"), whole.attend(*step, return_lse=True))
    assert context.length() == LENGTH + 3


def test_layers_are_apart_and_short_ones_lie_on_the_first_server(context, tokens):
    query, key, value = tokens
    context.append(key[:, :, :3], value[:, :, :3], layer=1)
    assert (context.length(0), context.length(1)) == (0, 3)
    np.testing.assert_allclose(context.attend(query, layer=1).output,
                               attention.attend(query, key[:, :, :3], value[:, :, :3]), atol=attention.TOLERANCE)
    empty = context.attend(query)
    assert not empty.output.any() and (empty.lse == -np.inf).all()


def test_sessions_end_with_the_context(clients):
    with SplitContext(clients, 10, session_id="split", **SPEC) as context:
        assert [session.session_id for session in context.sessions] == ["split-0", "split-1", "split-2"]
        with pytest.raises(errors.AlreadyExistsError):  # split-1; split-0 is made and goes again.
            SplitContext([clients[1], clients[1]], 10, session_id="split", **SPEC)
    for client in clients:
        assert not list(client.list_sessions())


def test_whole_keys_and_values_merge_without_sessions(clients, client, tokens):
    """As README says it for stateless calls."""
    query, key, value = tokens
    parts = [client.attend(query, key[:, :, begin:end], value[:, :, begin:end], return_lse=True,
                           causal="bottom_right", causal_offset=LENGTH - 5 - begin)
             for client, (begin, end) in zip(clients, ((0, 50), (50, 100), (100, LENGTH)))]
    close(attnserve.merge(parts), client.attend(query, key, value, return_lse=True, causal="bottom_right"))


@pytest.mark.parametrize("options, error, words", [
    ({"causal": "top_left"}, ValueError, "bottom_right or none"), ({"weights": "biased"}, TypeError, "no weights"),
    ({"attn_mask": np.ones((1, 7), bool)}, ValueError, "last axis of 1 or 0")])
def test_what_parts_cannot_answer_is_refused(context, tokens, options, error, words):
    with pytest.raises(error, match=words):
        context.attend(tokens[0], **options)


def test_context_that_cannot_be_is_refused(clients):
    for arguments in (([], 10), (clients, 0)):
        with pytest.raises(ValueError, match="at least one client"):
            SplitContext(*arguments, **SPEC)
    with pytest.raises(TypeError, match="window"):
        SplitContext(clients, 10, window=5, **SPEC)
