"""A full queue and a short deadline, at a real server: typed errors that say when to come back."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import attnserve
from attnserve import errors
from server import Server

# f64 is computed by plain loops: 0.5 GFLOP, some 70 ms of one worker.
SHAPE = (1, 8, 512, 64)


@pytest.fixture(scope="module")
def busy(binary):
    with Server(binary, "--workers", "1", "--max-queue-tasks", "1") as server:
        yield server.address()


@pytest.fixture
def array():
    return np.random.default_rng(1).standard_normal(SHAPE)


def test_full_queue_says_when_to_come_back(busy, array):
    def ask(client):
        try:
            return client.attend(array, array, array, timeout=600).output  # The queue refuses, not the deadline.
        except errors.QueueFullError as error:
            return error

    with attnserve.Client(busy, retry=attnserve.RetryPolicy(max_attempts=1)) as client, \
            ThreadPoolExecutor(12) as threads:
        found = list(threads.map(ask, [client] * 24))
    refused = [error for error in found if isinstance(error, errors.QueueFullError)]
    assert 0 < len(refused) < 24
    assert all(error.reason == "QUEUE_FULL" and error.retry_delay > 0 for error in refused)


def test_deadline_out_of_reach_is_told(busy, array):
    with attnserve.Client(busy) as client:
        client.attend(array, array, array)  # The server knows now how long it takes.
        with pytest.raises(errors.DeadlineExceededError):
            client.attend(array, array, array, timeout=0.01)
