"""Several real servers, for clients that know them all."""

from __future__ import annotations

import contextlib
import pathlib

from attnserve.rendezvous import owner_of
from server import Server


class Fleet:
    """Three servers on Unix sockets, so that one that comes back has its address."""

    def __init__(self, binary: str, folder: pathlib.Path, stack: contextlib.ExitStack, *flags: str) -> None:
        """flags: of each server."""
        self._binary, self._stack, self._flags = binary, stack, flags
        self.addresses = [f"unix:{folder}/{n}.sock" for n in range(3)]
        self.servers = [self._start(address) for address in self.addresses]

    def _start(self, address: str) -> Server:
        server = self._stack.enter_context(Server(self._binary, *self._flags, grpc_address=address))
        server.address()
        return server

    def kill(self, n: int) -> None:
        self.servers[n].kill()

    def restart(self, n: int) -> None:
        self.servers[n] = self._start(self.addresses[n])

    def id_on(self, n: int) -> str:
        """An id of that server."""
        return next(f"s{i}" for i in range(1000) if owner_of(self.addresses, f"s{i}") == n)
