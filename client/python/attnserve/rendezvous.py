"""Which server a session is on, for clients without a proxy: rendezvous hashing
(highest random weight), as client/cpp/rendezvous.h has it. Where a server leaves
the list, its sessions alone go elsewhere."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from functools import lru_cache

_MASK = (1 << 64) - 1
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


def routing_key(session_id: str) -> str:
    """The part of an id that says where the session is: all of it up to the first
    "--". A fork is on its source's server: name it "chat--draft" and it is where
    "chat" is. The proxies of deploy/ hash the same part."""
    return session_id.partition("--")[0]


def rendezvous_weight(server: str, key: str) -> int:
    """FNV-1a (64 bit) of the bytes of server, a newline and key, mixed by the
    finalizer of MurmurHash3."""
    return _mix(_fnv1a(key.encode(), _server_hash(server)))


def owner_of(servers: Sequence[str], session_id: str) -> int:
    """Index of the server with the largest weight; of equal ones the smaller name's.
    Raises ValueError for no server."""
    key = routing_key(session_id)
    weights = [rendezvous_weight(server, key) for server in servers]
    return min(range(len(servers)), key=lambda n: (-weights[n], servers[n]))


def resolve_addresses(target: str) -> list[str]:
    """"host:port" of every address that the name has, in order and once each: of
    "attnserve-headless:8001" those of the servers behind a headless service. Where
    servers have names that stay (StatefulSet), list these instead. Raises ValueError
    for no "host:port", OSError where the name has no address now."""
    host, _, port = target.rpartition(":")
    if not host or not port:
        raise ValueError(f"target must be HOST:PORT; got {target!r}")
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return sorted({_numeric(family, str(address[0])) + f":{port}" for family, _, _, _, address in found})


def _numeric(family: int, host: str) -> str:
    return f"[{host}]" if family == socket.AF_INET6 else host


@lru_cache(maxsize=1024)
def _server_hash(server: str) -> int:
    return _fnv1a(server.encode() + b"\n", _FNV_OFFSET)


def _fnv1a(data: Iterable[int], value: int) -> int:
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & _MASK
    return value


def _mix(value: int) -> int:
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & _MASK
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return value ^ value >> 33
