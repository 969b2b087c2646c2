"""aio.Client does what Client does, awaited."""

import asyncio
import inspect
import io

import grpc
import numpy as np
import pytest

import attention
import attnserve
from attnserve import AttendRequest, aio, errors
from fake_server import FakeServer


def run(address, test, **options):
    async def main():
        async with aio.Client(address, **options) as client:
            return await test(client)

    return asyncio.run(main())


@pytest.fixture
def tokens(tensors):
    return tensors((1, 4, 5, 16), (1, 2, 5, 16), (1, 2, 5, 16))


@pytest.mark.parametrize("name", ["Client", "Session"])
def test_methods_and_their_arguments_are_the_same(name):
    def methods(kind):
        return {method: str(inspect.signature(function)).rpartition(" -> ")[0]
                for method, function in inspect.getmembers(kind, inspect.isfunction) if not method.startswith("_")}

    def with_async_requests(signature):
        return signature.replace("Iterable[AttendRequest]'", "Iterable[AttendRequest] | AsyncIterable[AttendRequest]'")

    expected = methods(getattr(attnserve, name))
    if name == "Client":
        expected["attend_stream"] = with_async_requests(expected["attend_stream"])
    assert methods(getattr(aio, name)) == expected


def test_calls_run_side_by_side(address, tokens):
    async def test(client):
        responses = await asyncio.gather(*(client.attend(*tokens, causal="top_left") for _ in range(20)))
        assert await client.check_health() == "SERVING"
        return responses

    expected = attention.attend(*tokens, offset=0)
    for response in run(address, test):
        np.testing.assert_allclose(response.output, expected, atol=attention.TOLERANCE)


def test_batch_and_stream(address, tokens):
    async def numbered():
        for n in range(10):
            yield AttendRequest(*tokens, request_id=str(n))

    async def test(client):
        batch = await client.attend_batch([AttendRequest(*tokens), AttendRequest(*tokens[:2])])
        streamed = {result.request_id async for result in client.attend_stream(numbered())}
        listed = [result async for result in client.attend_stream([AttendRequest(*tokens)])]
        return batch, streamed, listed

    batch, streamed, listed = run(address, test)
    assert batch[0].error is None and isinstance(batch[1].error, errors.InvalidArgumentError)
    assert streamed == {str(n) for n in range(10)} and len(listed) == 1


def test_error_of_the_requests_is_raised(address, tokens):
    async def broken():
        yield AttendRequest(*tokens)
        raise KeyError("mine")

    async def test(client):
        results = []
        with pytest.raises(KeyError, match="mine"):
            async for result in client.attend_stream(broken()):
                results.append(result)
        return results

    assert len(run(address, test)) == 1


def test_session(address, tokens):
    query, key, value = tokens

    async def test(client):
        async with await client.create_session(num_kv_heads=2, head_dim=16, session_id="aio") as session:
            assert await session.append(key[:, :, :3], value[:, :, :3]) == 3
            output = (await session.attend(query[:, :, 3:], key[:, :, 3:], value[:, :, 3:], causal="top_left")).output
            np.testing.assert_allclose(output, attention.attend(*tokens, offset=0)[:, :, 3:], atol=attention.TOLERANCE)
            file = io.BytesIO()
            assert await session.export(file) == file.tell()
            file.seek(0)
            async with await client.import_session(file, "aio2") as copy:
                assert (await copy.refresh()).layer_lengths == (5,)
            async with await session.fork(length=2) as fork:
                assert fork.length() == 2
            assert (await session.truncate(1)).layer_lengths == (1,)
            with pytest.raises(errors.LengthMismatchError):
                await session.append(key, value, expected_length=9)
            listed = [state.session_id async for state in client.list_sessions()]
            assert "aio" in listed and "aio2" not in listed
        with pytest.raises(errors.NotFoundError):
            await client.open_session("aio")

    run(address, test)


def test_file_that_breaks_ends_the_import(address):
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError("broken disk")

    async def test(client):
        with pytest.raises(OSError, match="broken disk"):
            await client.import_session(Broken(), "broken")

    run(address, test)


def test_refusal_names_reason_and_field(address, tokens):
    async def test(client):
        with pytest.raises(errors.InvalidArgumentError) as raised:
            await client.attend(tokens[0], tokens[1][..., :4], tokens[2])
        return raised.value

    error = run(address, test)
    assert error.reason == "INVALID_TENSOR" and error.field_violations[0].field == "key.shape[3]"


def test_appends_without_expected_length_are_not_repeated(tokens):
    down = (grpc.StatusCode.UNAVAILABLE, "down", ())
    requests = [AttendRequest(*tokens, session_id="s"), AttendRequest(*tokens)]

    async def test(client):
        for request, attempts in zip(requests, (1, 5)):
            with pytest.raises(errors.UnavailableError):
                await client.attend_batch([request])
            assert server.calls["AttendBatch"] == attempts

    with FakeServer({"AttendBatch": [down]}) as server:
        run(server.address, test, retry=attnserve.RetryPolicy(initial_backoff=0.01))


def test_cancelled_task_is_cancelled(address, tokens):
    async def test(client):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.check_health(wait_for_ready=True), 0.2)

    run("127.0.0.1:1", test)


def test_closed_client_says_so(address):
    async def main():
        client = aio.Client(address)
        await client.close()
        with pytest.raises(ValueError, match="closed"):
            await client.check_health()

    asyncio.run(main())
