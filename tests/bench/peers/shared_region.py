"""Memory that the server shares with this program: arrays that need not be sent
(proto/attn/v1/shared_memory.proto)."""

from __future__ import annotations

import mmap
import os
import socket
from types import ModuleType

import numpy as np

LARGEST_GRANT = 4096


class SharedRegion:
    """Given back when it is closed."""

    def __init__(self, path: str, size: int, messages: ModuleType) -> None:
        """`messages`: shared_memory_pb2. RuntimeError where the server refuses."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.connect(path)
        self._socket.send(messages.RegionRequest(size=size).SerializeToString())
        packet, files, _, _ = socket.recv_fds(self._socket, LARGEST_GRANT, 1)
        grant = messages.RegionGrant.FromString(packet)
        if not files:
            raise RuntimeError(grant.status.message)
        self.region_id = grant.region_id
        self._memory = mmap.mmap(files[0], size)
        os.close(files[0])
        self._used_bytes = 0

    def take(self, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
        """A new array of f32 in it, and its offset."""
        offset = self._used_bytes
        array = np.frombuffer(self._memory, np.float32, int(np.prod(shape)), offset).reshape(shape)
        self._used_bytes += array.nbytes
        return array, offset

    def close(self) -> None:
        self._socket.close()
