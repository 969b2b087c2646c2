"""What is repeated, how often and after which wait; against a server that fails on order."""

import time

import grpc
import numpy as np
import pytest

import attnserve
from attnserve import _contract as pb
from attnserve import errors
from attnserve._tensor import encode
from fake_server import FakeServer

TENSOR = np.ones((1, 1, 1, 4), np.float32)
DOWN = (grpc.StatusCode.UNAVAILABLE, "down", ())
GOOD = pb.AttendResponse(output=pb.Tensor.FromString(encode("x", TENSOR).to_bytes())).SerializeToString()
SESSION = pb.Session(session_id="s", layer_lengths=[0], spec={"num_layers": 1}).SerializeToString()
FAST = attnserve.RetryPolicy(initial_backoff=0.01)


def test_unavailable_is_tried_four_times():
    with FakeServer({"Attend": [DOWN]}) as server, attnserve.Client(server.address, retry=FAST) as client:
        with pytest.raises(errors.UnavailableError, match="down"):
            client.attend(TENSOR, TENSOR, TENSOR)
        assert server.calls["Attend"] == 4


def test_call_that_fails_at_first_is_answered():
    with FakeServer({"Attend": [DOWN, DOWN, GOOD]}) as server, attnserve.Client(server.address, retry=FAST) as client:
        assert np.array_equal(client.attend(TENSOR, TENSOR, TENSOR).output, TENSOR)
        assert server.calls["Attend"] == 3


def test_large_requests_are_repeated_too():
    large = np.ones((1, 1, 100000, 4), np.float32)  # 1.6 MB; gRPC's default buffer has 256 KiB.
    with FakeServer({"Attend": [DOWN, GOOD]}) as server, attnserve.Client(server.address, retry=FAST) as client:
        client.attend(TENSOR, large, large)
        assert server.calls["Attend"] == 2


def test_pushback_is_what_is_waited():
    full = (grpc.StatusCode.RESOURCE_EXHAUSTED, "full", (("grpc-retry-pushback-ms", "300"),))
    with FakeServer({"Attend": [full, GOOD]}) as server, attnserve.Client(server.address, retry=FAST) as client:
        started = time.monotonic()
        client.attend(TENSOR, TENSOR, TENSOR)
        assert time.monotonic() - started >= 0.3


def test_negative_pushback_ends_the_retries():
    large = (grpc.StatusCode.RESOURCE_EXHAUSTED, "too large", (("grpc-retry-pushback-ms", "-1"),))
    with FakeServer({"Attend": [large]}) as server, attnserve.Client(server.address, retry=FAST) as client:
        with pytest.raises(errors.ResourceExhaustedError):
            client.attend(TENSOR, TENSOR, TENSOR)
        assert server.calls["Attend"] == 1


def test_retry_info_and_reason_reach_the_caller():
    status = pb.Status()
    for name, detail in (("ErrorInfo", pb.ErrorInfo(reason="QUEUE_FULL")),
                         ("RetryInfo", pb.RetryInfo(retry_delay={"nanos": 20000000}))):
        status.details.add(type_url=f"type.googleapis.com/google.rpc.{name}", value=detail.SerializeToString())
    full = (grpc.StatusCode.RESOURCE_EXHAUSTED, "full", (("grpc-status-details-bin", status.SerializeToString()),))
    policy = attnserve.RetryPolicy(max_attempts=1)
    with FakeServer({"Attend": [full]}) as server, attnserve.Client(server.address, retry=policy) as client:
        with pytest.raises(errors.QueueFullError) as raised:
            client.attend(TENSOR, TENSOR, TENSOR)
        assert raised.value.retry_delay == 0.02 and server.calls["Attend"] == 1


@pytest.mark.parametrize("expected_length, attempts", [("known", 4), (0, 4), (None, 1)])
def test_append_is_repeated_with_expected_length_alone(expected_length, attempts):
    script = {"GetSession": [SESSION], "AppendKv": [DOWN]}
    with FakeServer(script) as server, attnserve.Client(server.address, retry=FAST) as client:
        session = client.open_session("s")
        with pytest.raises(errors.UnavailableError):
            session.append(TENSOR, TENSOR, expected_length=expected_length)
        assert server.calls["AppendKv"] == attempts


@pytest.mark.parametrize("method, call", [
    ("CreateSession", lambda client, _: client.create_session(num_kv_heads=1, head_dim=4)),
    ("ForkSession", lambda _, session: session.fork()),
    ("DeleteSession", lambda _, session: session.delete())])
def test_calls_that_would_find_their_own_traces_are_not_repeated(method, call):
    with FakeServer({"GetSession": [SESSION], method: [DOWN]}) as server, \
            attnserve.Client(server.address, retry=FAST) as client:
        with pytest.raises(errors.UnavailableError):
            call(client, client.open_session("s"))
        assert server.calls[method] == 1


def test_calls_carry_their_session_and_the_callers_metadata():
    with FakeServer({"GetSession": [SESSION]}) as server, \
            attnserve.Client(server.address, metadata=[("authorization", "Bearer x")]) as client:
        client.open_session("s", metadata=[("trace", "7")])
    assert {"attn-session-id": "s", "authorization": "Bearer x", "trace": "7"}.items() <= server.metadata[0].items()


def test_reply_that_does_not_parse_is_an_internal_error():
    with FakeServer({"Attend": [b"\xff"], "GetSession": [b"\xff"]}) as server, \
            attnserve.Client(server.address) as client:
        for call in (lambda: client.attend(TENSOR, TENSOR, TENSOR), lambda: client.open_session("s")):
            with pytest.raises(errors.AttnError, match="does not parse") as raised:
                call()
            assert raised.value.code is grpc.StatusCode.INTERNAL
