"""Client against a real server: tensors, options, batches, errors."""

import math
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

import attention
import attnserve
from attnserve import AttendRequest, Rope, errors


def test_answer_is_that_of_plain_numpy(client, tensors):
    query, key, value = tensors((2, 4, 5, 16), (2, 2, 9, 16), (2, 2, 9, 8))
    response = client.attend(query, key, value, causal="bottom_right")
    assert response.output.dtype == np.float32
    np.testing.assert_allclose(response.output, attention.attend(query, key, value, 9 - 5), atol=attention.TOLERANCE)


def test_layouts_answer_the_same_bytes(client, tensors):
    query, key, value = tensors((2, 4, 5, 16), (2, 2, 9, 16), (2, 2, 9, 8))
    expected = client.attend(query, key, value).output
    bshd = client.attend(*(array.swapaxes(1, 2) for array in (query, key, value)), layout="bshd").output
    np.testing.assert_array_equal(bshd.swapaxes(1, 2), expected)
    bse = client.attend(*(array.swapaxes(1, 2).reshape(2, array.shape[2], -1) for array in (query, key, value)),
                        layout="bse", num_q_heads=4, num_kv_heads=2).output
    np.testing.assert_array_equal(bse.reshape(2, 5, 4, 8).swapaxes(1, 2), expected)


def test_everything_asked_for_comes_back(client, tensors):
    query, key, value = tensors((1, 2, 3, 8), (1, 2, 6, 8), (1, 2, 6, 8))
    response = client.attend(query, key, value, return_lse=True, weights="probabilities", top_k=2, request_id="me",
                             output_dtype="f64")
    assert response.output.dtype == np.float64
    assert response.request_id == "me" and response.session_length == 0
    scores = query.astype(np.float64) @ key.swapaxes(2, 3) / math.sqrt(8)
    np.testing.assert_allclose(response.lse, np.log(np.exp(scores).sum(3)), atol=attention.TOLERANCE)
    order = np.argsort(-response.weights, axis=3)[..., :2]
    np.testing.assert_array_equal(response.top.indices, order)
    np.testing.assert_array_equal(response.top.probabilities, np.take_along_axis(response.weights, order, 3))
    timing = response.timing
    assert 0 < timing.compute_seconds <= timing.queue_seconds + timing.compute_seconds <= timing.total_seconds < 30
    assert timing.batch_size >= 1


def test_threads_share_a_client(client, tensors):
    query, key, value = tensors((8, 1, 2, 3, 8), (1, 2, 6, 8), (1, 2, 6, 8))

    def ask(n):
        return [client.attend(query[n], key, value).output for _ in range(20)]

    with ThreadPoolExecutor(8) as threads:
        for n, found in enumerate(threads.map(ask, range(8))):
            expected = client.attend(query[n], key, value).output
            assert all(np.array_equal(output, expected) for output in found)


def test_nothing_else_comes_back(client, tensors):
    response = client.attend(*tensors((1, 1, 1, 4), (1, 1, 2, 4), (1, 1, 2, 4)))
    assert (response.lse, response.weights, response.top) == (None, None, None)


def test_options_reach_the_server(client, tensors):
    query, key, value = tensors((1, 1, 3, 8), (1, 1, 5, 8), (1, 1, 5, 8))
    mask = np.array([[True, True, False, False, False]])
    plain = client.attend(query, key[:, :, :2], value[:, :, :2]).output
    assert np.array_equal(client.attend(query, key, value, attn_mask=mask).output, plain)
    assert np.array_equal(client.attend(query, key, value, kv_lengths=[2]).output, plain)
    window = {"causal_offset": 3, "left_window": 2}
    assert np.array_equal(client.attend(query, key, value, right_window=0, **window).output,
                          client.attend(query, key, value, causal="bottom_right", **window).output)
    for options in ({"scale": 0.1}, {"softcap": 0.5}, {"alibi_slopes": [0.5]}, {"sinks": [0.0]},
                    {"rope": Rope(base=10000)}):
        assert not np.allclose(client.attend(query, key, value, **options).output,
                               client.attend(query, key, value).output), options


def test_batch_answers_each_for_itself_in_order(client, tensors):
    query, key, value = tensors((1, 2, 3, 8), (1, 2, 6, 8), (1, 2, 6, 8))
    good = AttendRequest(query, key, value, request_id="good")
    bad = AttendRequest(query, key[..., :4], value, request_id="bad")
    results = client.attend_batch([good, bad, good])
    assert [result.request_id for result in results] == ["good", "bad", "good"]
    expected = client.attend(query, key, value).output
    assert np.array_equal(results[0].unwrap().output, expected)
    assert np.array_equal(results[2].unwrap().output, expected)
    with pytest.raises(errors.InvalidArgumentError, match="key.shape"):
        results[1].unwrap()


def test_refusal_names_reason_and_field(client, tensors):
    query, key, value = tensors((1, 2, 3, 8), (1, 2, 6, 4), (1, 2, 6, 8))
    with pytest.raises(errors.InvalidArgumentError) as raised:
        client.attend(query, key, value)
    assert raised.value.reason == "INVALID_TENSOR"
    assert [violation.field for violation in raised.value.field_violations] == ["key.shape[3]"]
    assert raised.value.message == "key.shape[3] must equal query.shape[3]; got 4 vs 8"


def test_unknown_argument_is_refused(client, tensors):
    with pytest.raises(TypeError, match="colour"):
        client.attend(*tensors(*[(1, 1, 1, 4)] * 3), colour="red")
    with pytest.raises(TypeError, match="colour"):
        client.check_health(colour="red")


def test_call_without_a_server_ends_at_its_deadline():
    with attnserve.Client("127.0.0.1:1", timeout=0.3) as client:
        started = time.monotonic()
        with pytest.raises(errors.UnavailableError):
            client.check_health()
        with pytest.raises(errors.DeadlineExceededError):
            client.check_health(wait_for_ready=True)
        assert 0.3 <= time.monotonic() - started < 10


def test_health_is_told(client):
    assert client.check_health() == "SERVING"
    with pytest.raises(errors.NotFoundError):
        client.check_health("nobody")


def test_closed_client_says_so(address):
    client = attnserve.Client(address)
    client.close()
    with pytest.raises(ValueError, match="closed"):
        client.check_health()


def test_message_beyond_the_clients_limit_is_refused(address, tensors):
    with attnserve.Client(address, max_message_bytes=1000) as client:
        with pytest.raises(errors.ResourceExhaustedError) as raised:
            client.attend(*tensors(*[(1, 1, 100, 4)] * 3))
        assert raised.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_tensors_beyond_grpcs_default_limit_pass(client, tensors):
    query, key, value = tensors((1, 1, 1, 64), (1, 1, 40000, 64), (1, 1, 40000, 64))  # 10 MB each.
    np.testing.assert_allclose(client.attend(query, key, value).output, attention.attend(query, key, value),
                               atol=attention.TOLERANCE)
