"""Which server a call without a session goes to."""

from attnserve.sharded_client import _Rotation


def test_each_in_turn_but_those_that_were_away_a_moment_ago():
    rotation = _Rotation(3, 1.0)
    assert [rotation.next(5.0) for _ in range(4)] == [0, 1, 2, 0]
    rotation.mark_away(1, 5.0)
    assert [rotation.next(5.9) for _ in range(3)] == [2, 0, 2]
    assert [rotation.next(6.0) for _ in range(3)] == [0, 1, 2]
    for server in range(3):
        rotation.mark_away(server, 6.0)
    assert [rotation.next(6.0) for _ in range(2)] == [0, 1]  # One of them all the same.
