"""The calls of layers, blocking and awaited, against a server that answers on order."""

import asyncio

import grpc
import numpy as np
import pytest

import attnserve
from attnserve import ForwardRequest, errors
from attnserve import _contract as pb
from attnserve._tensor import encode
from attnserve.default_client import connect
from fake_server import FakeServer

HIDDEN = np.ones((1, 2, 4), np.float32)
DOWN = (grpc.StatusCode.UNAVAILABLE, "down", ())
OUTPUT = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
GOOD = pb.ForwardResponse(output=pb.Tensor.FromString(encode("x", OUTPUT).to_bytes()), session_length=2)
LAYERS = [pb.Layer(name=f"m/{n}", index=n) for n in range(3)]
SESSION = pb.Session(session_id="s", layer_lengths=[9, 0], spec={"num_layers": 2}).SerializeToString()
SCRIPT = {
    "Forward": [GOOD.SerializeToString()],
    "ForwardBatch": [pb.ForwardBatchResponse(results=[{"response": GOOD}] * 2).SerializeToString()],
    "ListLayers": [pb.ListLayersResponse(layers=LAYERS[:2], next_page_token="m/1").SerializeToString(),
                   pb.ListLayersResponse(layers=LAYERS[2:]).SerializeToString()],
    "GetLayer": [LAYERS[1].SerializeToString()], "LoadLayer": [LAYERS[2].SerializeToString()], "UnloadLayer": [b""],
    "GetSession": [SESSION],
}
FAST = attnserve.RetryPolicy(initial_backoff=0.01)


@pytest.fixture
def server():
    with FakeServer(SCRIPT) as server:
        yield server


def test_client_has_every_call(server):
    with attnserve.Client(server.address) as client:
        np.testing.assert_array_equal(client.forward("m/0", HIDDEN).output, OUTPUT)
        results = client.forward_batch([ForwardRequest("m/0", HIDDEN), ForwardRequest("m/1", HIDDEN)])
        assert [result.unwrap().output.shape for result in results] == [(1, 2, 3)] * 2
        assert [layer.name for layer in client.list_layers()] == ["m/0", "m/1", "m/2"]
        assert client.get_layer("m/1").index == 1
        assert client.load_layer("m/2", weights="bf16").name == "m/2"
        client.unload_layer("m/2")


def test_client_of_asyncio_has_every_call(server):
    async def main():
        async with attnserve.aio.Client(server.address) as client:
            np.testing.assert_array_equal((await client.forward("m/0", HIDDEN)).output, OUTPUT)
            results = await client.forward_batch([ForwardRequest("m/0", HIDDEN)] * 2)
            assert [result.unwrap().output.shape for result in results] == [(1, 2, 3)] * 2
            assert [layer.name async for layer in client.list_layers()] == ["m/0", "m/1", "m/2"]
            assert (await client.get_layer("m/1")).index == 1
            assert (await client.load_layer("m/2")).name == "m/2"
            await client.unload_layer("m/2")
            layer = attnserve.aio.Layer("m/0", client)
            assert (await layer(HIDDEN[0])).shape == (2, 3) and (await layer.spec()).index == 1
            session = await client.open_session("s")
            assert (await layer(HIDDEN, session=session, session_layer=1)).shape == (1, 2, 3)
            assert session.length(1) == 2
    asyncio.run(main())


def test_layer_is_a_function_of_the_default_client(server):
    connect(server.address)
    layer = attnserve.Layer("m/0")
    np.testing.assert_array_equal(layer(HIDDEN[0]), OUTPUT[0])
    assert layer(HIDDEN[None]).shape == (1, 1, 2, 3)
    assert layer.name == "m/0" and layer.spec().name == "m/1"  # What the fake says.


def test_layer_keeps_the_sessions_length(server):
    with attnserve.Client(server.address) as client:
        session = client.open_session("s")
        attnserve.Layer("m/0", client)(HIDDEN, session=session, session_layer=1)
        assert (session.length(0), session.length(1)) == (9, 2)
        with pytest.raises(ValueError, match="layer must be 0..1; got 2"):
            attnserve.Layer("m/0", client)(HIDDEN, session=session, session_layer=2)
    assert server.metadata[-1]["attn-session-id"] == "s"


@pytest.mark.parametrize("options, attempts", [
    ({}, 4), ({"session_id": "s", "expected_length": 3}, 4), ({"session_id": "s"}, 1)])
def test_forward_is_repeated_where_it_is_harmless(options, attempts):
    with FakeServer({"Forward": [DOWN]}) as server, attnserve.Client(server.address, retry=FAST) as client:
        with pytest.raises(errors.UnavailableError):
            client.forward("m/0", HIDDEN, **options)
        assert server.calls["Forward"] == attempts


@pytest.mark.parametrize("expected_length, attempts", [(3, 4), (None, 1)])
def test_batch_is_repeated_where_all_of_it_is_harmless(expected_length, attempts):
    requests = [ForwardRequest("m/0", HIDDEN),
                ForwardRequest("m/0", HIDDEN, session_id="s", expected_length=expected_length)]
    with FakeServer({"ForwardBatch": [DOWN]}) as server, attnserve.Client(server.address, retry=FAST) as client:
        with pytest.raises(errors.UnavailableError):
            client.forward_batch(requests)
        assert server.calls["ForwardBatch"] == attempts


def test_layer_with_a_session_is_repeated():
    script = {"GetSession": [SESSION], "Forward": [DOWN, GOOD.SerializeToString()]}
    with FakeServer(script) as server, attnserve.Client(server.address, retry=FAST) as client:
        attnserve.Layer("m/0", client)(HIDDEN, session=client.open_session("s"))
        assert server.calls["Forward"] == 2


@pytest.mark.parametrize("method, attempts, call", [
    ("LoadLayer", 1, lambda client: client.load_layer("m/0")),
    ("UnloadLayer", 1, lambda client: client.unload_layer("m/0")),
    ("GetLayer", 4, lambda client: client.get_layer("m/0")),
    ("ListLayers", 4, lambda client: list(client.list_layers())),
    ("ForwardBatch", 4, lambda client: client.forward_batch([ForwardRequest("m/0", HIDDEN)]))])
def test_calls_that_would_find_their_own_traces_are_not_repeated(method, attempts, call):
    with FakeServer({method: [DOWN]}) as server, attnserve.Client(server.address, retry=FAST) as client:
        with pytest.raises(errors.UnavailableError):
            call(client)
        assert server.calls[method] == attempts


def test_page_that_repeats_is_an_error():
    page = pb.ListLayersResponse(layers=LAYERS, next_page_token="m/1").SerializeToString()
    with FakeServer({"ListLayers": [page]}) as server, attnserve.Client(server.address) as client:
        with pytest.raises(errors.AttnError, match="repeats a page"):
            list(client.list_layers())
