"""Session: what is appended is attended to, once, wherever it goes."""

import io

import numpy as np
import pytest

import attention
from attnserve import AttendRequest, Rope, errors


@pytest.fixture
def session(client):
    with client.create_session(num_layers=2, num_kv_heads=2, head_dim=16) as session:
        yield session


@pytest.fixture
def tokens(tensors):
    """12 tokens: query [1, 4, 12, 16], key and value [1, 2, 12, 16]."""
    return tensors((1, 4, 12, 16), (1, 2, 12, 16), (1, 2, 12, 16))


def part(arrays, begin, end):
    return [array[:, :, begin:end] for array in arrays]


def test_steps_answer_what_the_whole_does(session, tokens):
    expected = attention.attend(*tokens, offset=0)
    prompt = session.attend(*part(tokens, 0, 8), causal="top_left")
    np.testing.assert_allclose(prompt.output, expected[:, :, :8], atol=attention.TOLERANCE)
    for at in range(8, 12):
        response = session.attend(*part(tokens, at, at + 1))
        np.testing.assert_allclose(response.output, expected[:, :, at:at + 1], atol=attention.TOLERANCE)
        assert response.session_length == session.length() == at + 1
    assert session.length(layer=1) == 0


def test_append_then_attend_is_both_at_once(session, tokens):
    query, key, value = tokens
    assert session.append(key, value, layer=1) == 12
    np.testing.assert_allclose(session.attend(query, layer=1).output, attention.attend(*tokens),
                               atol=attention.TOLERANCE)


def test_append_takes_layout_and_rope(session, tokens):
    query, key, value = tokens
    rope = Rope(base=10000)
    session.append(key.swapaxes(1, 2), value.swapaxes(1, 2), layout="bshd", rope=rope)
    session.append(key, value, layer=1, rope=rope)
    assert np.array_equal(session.attend(query, layer=0).output, session.attend(query, layer=1).output)
    plain = session.attend(query, key, value, layer=1, rope=Rope(base=10000)).output
    assert not np.allclose(plain, attention.attend(*tokens), atol=1e-2)


def test_repeated_append_is_applied_once(session, tokens):
    first = session.attend(*part(tokens, 0, 3))
    again = session.attend(*part(tokens, 0, 3), expected_length=0)
    assert np.array_equal(again.output, first.output)
    assert session.append(*part(tokens, 0, 3)[1:], expected_length=None) == 6


def test_someone_elses_append_is_noticed(client, session, tokens):
    other = client.open_session(session.session_id)
    other.append(*tokens[1:])
    with pytest.raises(errors.LengthMismatchError) as raised:
        session.append(*part(tokens, 0, 3)[1:])
    assert raised.value.found_length == 12
    with pytest.raises(errors.LengthMismatchError):
        session.attend(*part(tokens, 0, 3))
    session.attend(tokens[0])
    assert session.length() == 0  # A look appends nothing, so it tells nothing.
    assert session.refresh().layer_lengths == (12, 0)
    assert session.append(*tokens[1:]) == 24


def test_fork_and_truncate(session, tokens):
    for layer in range(2):
        session.append(*tokens[1:], layer=layer)
    with session.fork(length=5) as fork:
        assert (fork.length(0), fork.length(1)) == (5, 5)
        assert fork.append(*part(tokens, 5, 6)[1:]) == 6
        assert np.array_equal(fork.attend(tokens[0]).output,
                              session.attend(tokens[0], attn_mask=np.arange(12)[None] < 6).output)
    with pytest.raises(errors.NotFoundError) as raised:
        fork.refresh()
    assert raised.value.reason == "SESSION_DELETED"
    assert session.truncate(7, layer=1).layer_lengths == (12, 7)
    assert session.length(1) == 7
    session.truncate(3)
    assert session.append(*part(tokens, 3, 4)[1:]) == 4
    with pytest.raises(errors.LengthMismatchError):
        session.truncate(100)


def test_snapshot_comes_back_with_the_same_bytes(client, session, tokens):
    session.append(*tokens[1:])
    file = io.BytesIO()
    assert session.export(file) == len(file.getvalue())
    file.seek(0)
    with client.import_session(file, "copy") as copy:
        assert copy.session_id == "copy" and copy.length() == 12
        assert np.array_equal(copy.attend(tokens[0]).output, session.attend(tokens[0]).output)
    file.seek(0)
    with pytest.raises(errors.AlreadyExistsError):
        client.import_session(file)


def test_damaged_snapshot_creates_nothing(client, session, tokens):
    session.append(*tokens[1:])
    file = io.BytesIO()
    session.export(file)
    with pytest.raises(errors.DataLossError) as raised:
        client.import_session(io.BytesIO(file.getvalue()[:-1]), "damaged")
    assert raised.value.reason == "SNAPSHOT_DAMAGED"
    with pytest.raises(errors.NotFoundError):
        client.open_session("damaged")


def test_file_that_breaks_ends_the_import(client):
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError("broken disk")

    with pytest.raises(OSError, match="broken disk"):
        client.import_session(Broken(), "broken")
    with pytest.raises(errors.NotFoundError):
        client.open_session("broken")


def test_spec_is_kept(client):
    with client.create_session(num_kv_heads=3, head_dim=8, value_head_dim=4, kv_dtype="int8", max_length=100,
                               window=50, idle_ttl=90.5, session_id="spec") as session:
        state = session.refresh()
        assert state.spec == session.spec
        assert (state.session_id, state.spec.num_layers, state.spec.num_kv_heads, state.spec.head_dim,
                state.spec.value_head_dim, state.spec.kv_dtype, state.spec.max_length, state.spec.window,
                state.spec.idle_ttl) == ("spec", 1, 3, 8, 4, "int8", 100, 50, 90.5)
        assert state.created_at <= state.last_used_at


def test_context_manager_deletes_what_it_made_alone(client):
    with client.create_session(num_kv_heads=1, head_dim=4, session_id="mine") as session:
        with client.open_session("mine"):
            pass
        assert client.open_session("mine").session_id == "mine"
        session.delete()  # The exit does not mind.
    with pytest.raises(errors.NotFoundError):
        client.open_session("mine")


def test_list_holds_every_session(client):
    made = [client.create_session(num_kv_heads=1, head_dim=4) for _ in range(3)]
    listed = [state.session_id for state in client.list_sessions()]
    assert {session.session_id for session in made} <= set(listed) and listed == sorted(listed)
    for session in made:
        session.delete()


def test_batch_items_of_sessions(client, session, tokens):
    items = [session.request(*part(tokens, 0, 4), layer=layer) for layer in range(2)]
    for layer, result in enumerate(client.attend_batch(items)):
        session.applied(layer, result.unwrap().session_length)
    assert session.length(1) == 4
    assert client.attend_batch([AttendRequest(tokens[0], session_id="nobody")])[0].error.code.name == "NOT_FOUND"


@pytest.mark.parametrize("layer", [-1, 2])
def test_layer_that_is_not_there_is_refused(session, tokens, layer):
    with pytest.raises(ValueError, match="layer must be 0..1"):
        session.attend(tokens[0], layer=layer)


def test_tokens_that_do_not_fit_the_spec_are_refused(session, tensors):
    with pytest.raises(errors.FailedPreconditionError) as raised:
        session.append(*tensors((1, 3, 1, 16), (1, 3, 1, 16)))
    assert raised.value.reason == "SPEC_MISMATCH"
    assert session.length() == 0


def test_file_that_breaks_ends_the_export(session, tokens):
    class Broken(io.RawIOBase):
        def write(self, data):
            raise OSError("full disk")

    session.append(*tokens[1:])
    with pytest.raises(OSError, match="full disk"):
        session.export(Broken())
    assert session.append(*part(tokens, 0, 1)[1:]) == 13
