"""attend_stream: results as they finish, errors of either side, early ends."""

import itertools

import numpy as np
import pytest

from attnserve import AttendRequest, errors


@pytest.fixture
def requests(tensors):
    query, key, value = tensors((1, 2, 3, 8), (1, 2, 6, 8), (1, 2, 6, 8))
    return (AttendRequest(query + n, key, value, request_id=str(n)) for n in itertools.count())


def test_every_request_has_its_result(client, requests):
    sent = list(itertools.islice(requests, 40))
    found = {result.request_id: result.unwrap().output for result in client.attend_stream(sent)}
    assert set(found) == {str(n) for n in range(40)}
    for request in sent:
        expected = client.attend(request.query, request.key, request.value).output
        assert np.array_equal(found[request.request_id], expected)


def test_failed_item_does_not_end_the_stream(client, requests):
    good = next(requests)
    bad = AttendRequest(good.query, good.key, request_id="bad")
    results = {result.request_id: result for result in client.attend_stream([bad, good])}
    assert results["0"].error is None
    assert isinstance(results["bad"].error, errors.InvalidArgumentError)


def test_endless_stream_can_be_left(client, requests):
    stream = client.attend_stream(requests)
    assert next(stream).response is not None
    stream.close()
    assert client.check_health() == "SERVING"


def test_error_of_the_requests_is_raised_after_earlier_results(client, requests):
    def broken():
        yield next(requests)
        yield AttendRequest(None)

    stream = client.attend_stream(broken())
    assert next(stream).request_id == "0"
    with pytest.raises(TypeError, match="query is required"):
        next(stream)


def test_deadline_ends_the_stream(client, requests):
    with pytest.raises(errors.DeadlineExceededError):
        for _ in client.attend_stream(requests, timeout=0.2):
            pass


def test_empty_stream_has_no_results(client):
    assert not list(client.attend_stream([]))
