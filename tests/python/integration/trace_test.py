"""W3C trace context at a real server: what is sent, what comes back, what the log says."""

from __future__ import annotations

import pathlib
import re
import subprocess
from collections.abc import Iterator

import grpc
import numpy as np
import pytest

import attnserve
from attnserve._attend_codec import ATTEND
from attnserve.request import AttendRequest
from server import Server
from server_fixtures import ROOT

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
TIMING = re.compile(r"queue;dur=(\d+\.\d{3}), compute;dur=(\d+\.\d{3}), total;dur=(\d+\.\d{3})")
ATTENTION = "/attn.v1.AttentionService/"
SESSIONS = "/attn.v1.SessionService/"
INFERENCE = "/inference.GRPCInferenceService/"

Metadata = list[tuple[str, str]]


@pytest.fixture(scope="module")
def server(binary: str) -> Iterator[Server]:
    with Server(binary) as server:
        yield server


@pytest.fixture(scope="module")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address()) as channel:
        yield channel


def request(rows: int = 1) -> AttendRequest:
    # f64 is computed by plain loops, so that compute takes a while.
    array = np.ones((1, 1, rows, 8))
    return AttendRequest(query=array, key=array, value=array)


def ask(channel: grpc.Channel, method: str, message: bytes, metadata: Metadata) -> dict[str, str]:
    """The trailing metadata of a unary call, answered or refused."""
    call = channel.unary_unary(method).future(message, metadata=metadata, timeout=30)
    return dict(call.trailing_metadata() or ())


def stream(channel: grpc.Channel, method: str, messages: list[bytes], metadata: Metadata) -> dict[str, str]:
    call = channel.stream_stream(method)(iter(messages), metadata=metadata, timeout=30)
    try:
        list(call)
    except grpc.RpcError:
        pass
    return dict(call.trailing_metadata() or ())


def times(trailers: dict[str, str]) -> tuple[float, float, float]:
    """Milliseconds in the queue, computing, and in all."""
    found = TIMING.fullmatch(trailers["server-timing"])
    assert found is not None
    queue, compute, total = map(float, found.groups())
    return queue, compute, total


def test_attend_answers_with_a_span_of_its_own_and_its_times(channel: grpc.Channel) -> None:
    trailers = ask(channel, ATTENTION + "Attend", ATTEND.encode_request(request(200)).to_bytes(),
                   [("traceparent", TRACEPARENT), ("tracestate", "vendor=1")])
    version, trace_id, span_id, flags = trailers["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE_ID, "01")
    assert re.fullmatch("[0-9a-f]{16}", span_id) and span_id not in (SPAN_ID, "0" * 16)
    assert "tracestate" not in trailers
    queue, compute, total = times(trailers)
    assert queue > 0 and compute > 0
    assert queue + compute <= total


def test_every_call_has_another_span(channel: grpc.Channel) -> None:
    message = ATTEND.encode_request(request()).to_bytes()
    spans = {ask(channel, ATTENTION + "Attend", message, [("traceparent", TRACEPARENT)])["traceparent"]
             for _ in range(8)}
    assert len(spans) == 8


def test_a_batch_and_a_stream_tell_of_their_slowest_request(channel: grpc.Channel) -> None:
    metadata = [("traceparent", TRACEPARENT)]
    both = [request(), request(200)]
    for trailers in (ask(channel, ATTENTION + "AttendBatch", ATTEND.encode_batch(both).to_bytes(), metadata),
                     stream(channel, ATTENTION + "AttendStream",
                            [ATTEND.encode_request(one).to_bytes() for one in both], metadata)):
        assert TRACE_ID in trailers["traceparent"]
        queue, compute, total = times(trailers)
        assert queue > 0 and 0 < compute <= total


@pytest.mark.parametrize("method", [
    *(SESSIONS + name for name in ("CreateSession", "AppendKv", "GetSession", "ListSessions", "DeleteSession")),
    *(INFERENCE + name for name in ("ServerLive", "ModelInfer", "ModelMetadata", "RepositoryModelLoad"))])
def test_every_unary_method_is_traced_also_when_it_refuses(channel: grpc.Channel, method: str) -> None:
    trailers = ask(channel, method, b"", [("traceparent", TRACEPARENT)])
    assert TRACE_ID in trailers["traceparent"]
    assert times(trailers)[2] > 0


@pytest.mark.parametrize("method", [SESSIONS + "ExportSession", SESSIONS + "ImportSession",
                                    INFERENCE + "ModelStreamInfer"])
def test_every_stream_is_traced_also_when_it_refuses(channel: grpc.Channel, method: str) -> None:
    assert TRACE_ID in stream(channel, method, [b""], [("traceparent", TRACEPARENT)])["traceparent"]


@pytest.mark.parametrize("metadata", [
    [], [("tracestate", "vendor=1")], [("traceparent", "")], [("traceparent", TRACEPARENT.upper())],
    [("traceparent", TRACEPARENT + "-00")],
    pytest.param([("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)],
                 marks=pytest.mark.skipif(not grpc.__version__.startswith("1.51."), reason="later ones send one of two"))])
def test_without_one_good_traceparent_nothing_is_answered(channel: grpc.Channel, metadata: Metadata) -> None:
    trailers = ask(channel, ATTENTION + "Attend", ATTEND.encode_request(request()).to_bytes(), metadata)
    assert not {"traceparent", "server-timing"} & trailers.keys()


def test_lines_about_the_call_have_its_trace_id(binary: str) -> None:
    refused_id, good_id = "a" * 32, "b" * 32
    with Server(binary, "--log-level", "debug") as server:
        with attnserve.Client(server.address()) as client:
            one = np.ones((1, 1, 1, 8), np.float32)
            client.attend(one, one, one, metadata=[("traceparent", f"00-{good_id}-{SPAN_ID}-00")])
            with pytest.raises(attnserve.errors.NotFoundError):
                client.open_session("nobody", metadata=[("traceparent", f"00-{refused_id}-{SPAN_ID}-00")])
        assert server.stop() == 0
    refused = [line for line in server.log if refused_id in line]
    assert any("warning" in line and "class=SESSION_NEVER_EXISTED" in line for line in refused)
    assert any("call ended" in line and "code=NotFound" in line for line in refused)
    assert any("call ended" in line and f"trace_id={good_id} parent_id={SPAN_ID}" in line for line in server.log)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_attnctl_sends_a_trace_and_shows_what_came_of_it(binary: str, server: Server, form: tuple[str, ...]) -> None:
    attnctl = pathlib.Path(binary).parents[1] / "client/cpp/attnctl"
    tensors = [f"--{name}={ROOT}/client/examples/river_bank/{name}.npy" for name in ("query", "key", "value")]
    shown = subprocess.run([attnctl, "--address", server.address(), "attend", *tensors, "--trace", *form],
                           check=True, capture_output=True, text=True, timeout=60).stdout
    assert re.search("trace(_id\": \")? ?[0-9a-f]{32}", shown)
    assert re.search("span(_id\": \")? ?[0-9a-f]{16}", shown)
    assert TIMING.search(shown)
