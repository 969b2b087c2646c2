"""Where a session is: the same as the C++ client says."""

import pathlib

import pytest

import attnserve
from attnserve.rendezvous import owner_of, rendezvous_weight, routing_key

VECTORS = pathlib.Path(__file__).resolve().parents[3] / "client/rendezvous_vectors.tsv"


def test_vectors_that_cpp_is_tested_with():
    lines = [line for line in VECTORS.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == 40
    for line in lines:
        names, session_id, key, weights, owner = line.split("\t")
        servers = names.split(",")
        assert routing_key(session_id) == key
        assert [f"{rendezvous_weight(server, key):016x}" for server in servers] == weights.split(",")
        assert servers[owner_of(servers, session_id)] == owner


def test_server_that_leaves_moves_its_own_alone():
    servers = [f"attnserve-{n}.attnserve:8001" for n in range(4)]
    owners = [owner_of(servers, f"s{n}") for n in range(1000)]
    assert all(owner_of(servers[:3], f"s{n}") == owner for n, owner in enumerate(owners) if owner != 3)
    assert all(200 <= owners.count(n) <= 300 for n in range(4))


def test_addresses_of_a_name():
    assert attnserve.resolve_addresses("127.0.0.1:8001") == ["127.0.0.1:8001"]
    assert "127.0.0.1:7" in attnserve.resolve_addresses("localhost:7")
    for target in ("", "host", ":1", "host:"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            attnserve.resolve_addresses(target)
    with pytest.raises(OSError):
        attnserve.resolve_addresses("attnserve.invalid:8001")
