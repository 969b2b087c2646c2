"""The service: a real attnserve on loopback, asked the two problems."""

from __future__ import annotations

import ctypes
import importlib
import os
import pathlib
import sys
import tempfile
import time
from types import ModuleType

import grpc
import grpc_tools
import numpy as np
from grpc_tools import protoc

import raw_wire
from problem import Problem
from shared_region import SharedRegion

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "tests/interop"))
from client import LARGEST_MESSAGE, PROTO  # noqa: E402
from server import Server  # noqa: E402

ATTEND = "/attn.v1.AttentionService/Attend"
SESSION_ID = "bench-peers"
CHUNK_TOKENS = 4096  # Of one AppendKv.
TIMEOUT_SECONDS = 120
WORKERS_NICE = 10  # Of the server's compute threads, over its own.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # Of mallopt.
KEPT_BYTES = 1 << 30


def keep_memory() -> None:
    """Messages of 50 MB are otherwise taken from the system and given back with
    every call, and page faults cost more than copies. The peers profit, too."""
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(M_MMAP_MAX, 0)


def _generate(folder: str) -> list[ModuleType]:
    """attention_pb2, session_pb2, session_pb2_grpc and shared_memory_pb2, made in
    `folder`."""
    files = [str(PROTO / f"attn/v1/{name}.proto") for name in ("types", "attention", "session", "shared_memory")]
    files.append(str(PROTO / "google/rpc/status.proto"))
    google = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{PROTO}", f"-I{google}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main([*arguments, *files]) != 0:
        raise RuntimeError(f"protoc failed on {PROTO}")
    sys.path.insert(0, folder)
    return [importlib.import_module(f"attn.v1.{name}")
            for name in ("attention_pb2", "session_pb2", "session_pb2_grpc", "shared_memory_pb2")]


class Service:
    """Server, channel and, for decode, a session; a context manager. Compute
    threads: as many as the server finds CPUs."""

    def __init__(self, binary: str) -> None:
        keep_memory()
        self._folder = tempfile.TemporaryDirectory(prefix="attn-peers-")
        self._attention, self._messages, services, self._memory_messages = _generate(self._folder.name)
        self._socket = f"{self._folder.name}/memory"
        self._server = Server(binary, "--shared-memory-socket", self._socket)
        address = self._server.address()
        # From here on client and peers are as nice as the server's compute
        # threads, so that a busy machine is as busy for them.
        os.nice(WORKERS_NICE)
        options = [("grpc.max_receive_message_length", LARGEST_MESSAGE),
                   ("grpc.max_send_message_length", LARGEST_MESSAGE)]
        self._channel = grpc.insecure_channel(address, options=options)
        self._attend = self._channel.unary_unary(ATTEND)  # Bytes to bytes.
        self._sessions = services.SessionServiceStub(self._channel)
        reference = {"session_id": SESSION_ID}
        self._in_session = self._attention.AttendRequest(session=reference).SerializeToString()
        self._filled = False
        self._shared: tuple[bytes, np.ndarray] | None = None

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._server.stop()
        self._folder.cleanup()

    def run(self, problem: Problem) -> tuple[np.ndarray, float, float]:
        """The output, and the seconds from arrays to array and of the server's
        compute. A decode step appends the problem's last token and attends to all."""
        if problem.name == "prefill":
            return self._call(problem, {raw_wire.QUERY: problem.query, raw_wire.KEY: problem.key,
                                        raw_wire.VALUE: problem.value}, b"")
        if not self._filled:
            self._fill(problem)
        token = slice(problem.key.shape[2] - 1, None)
        answer = self._call(problem, {raw_wire.QUERY: problem.query,
                                      raw_wire.KEY: np.ascontiguousarray(problem.key[:, :, token]),
                                      raw_wire.VALUE: np.ascontiguousarray(problem.value[:, :, token])},
                            self._in_session)
        # So that the next step is the same again.
        self._sessions.TruncateSession(self._messages.TruncateSessionRequest(
            session_id=SESSION_ID, length=token.start), timeout=TIMEOUT_SECONDS)
        return answer

    def run_shared(self, problem: Problem) -> float:
        """Seconds of a prefill whose tensors lie in shared memory, the output, too,
        as a caller would have them that computes its own there."""
        if self._shared is None:
            self._shared = self._share(problem)
        request, output = self._shared
        output[...] = 0
        start = time.perf_counter()
        self._attend(request, timeout=TIMEOUT_SECONDS)
        seconds = time.perf_counter() - start
        assert output.any()
        return seconds

    def _share(self, problem: Problem) -> tuple[bytes, np.ndarray]:
        """The request, and the array that its output comes to."""
        arrays = {"query": problem.query, "key": problem.key, "value": problem.value}
        size = sum(array.nbytes for array in arrays.values()) + problem.query.nbytes
        region = SharedRegion(self._socket, size, self._memory_messages)
        request = self._attention.AttendRequest()
        for name, array in arrays.items():
            place, offset = region.take(array.shape)
            place[...] = array
            tensor = getattr(request, name)
            tensor.dtype = raw_wire.F32
            tensor.shape.extend(array.shape)
            tensor.shared.region_id, tensor.shared.offset, tensor.shared.size = region.region_id, offset, array.nbytes
        output, offset = region.take(problem.query.shape)
        shared = request.output.shared
        shared.region_id, shared.offset, shared.size = region.region_id, offset, output.nbytes
        self._region = region
        return request.SerializeToString(), output

    def _call(self, problem: Problem, tensors: dict[int, np.ndarray], rest: bytes) -> tuple[np.ndarray, float, float]:
        start = time.perf_counter()
        flat, compute_seconds = raw_wire.reply(
            self._attend(raw_wire.request(tensors, rest), timeout=TIMEOUT_SECONDS))
        output = flat.reshape(problem.query.shape)
        return output, time.perf_counter() - start, compute_seconds

    def _fill(self, problem: Problem) -> None:
        """Makes the session of all tokens but the last."""
        _, num_kv_heads, kv_len, head_dim = problem.key.shape
        spec = self._messages.SessionSpec(num_layers=1, num_kv_heads=num_kv_heads, head_dim=head_dim)
        self._sessions.CreateSession(
            self._messages.CreateSessionRequest(session_id=SESSION_ID, spec=spec), timeout=TIMEOUT_SECONDS)
        for start in range(0, kv_len - 1, CHUNK_TOKENS):
            tokens = slice(start, min(start + CHUNK_TOKENS, kv_len - 1))
            rows = self._messages.AppendKvRequest(session={"session_id": SESSION_ID})
            for name in ("key", "value"):
                array = getattr(problem, name)[:, :, tokens]
                tensor = getattr(rows, name)
                tensor.dtype, tensor.data = raw_wire.F32, array.tobytes()
                tensor.shape.extend(array.shape)
            self._sessions.AppendKv(rows, timeout=TIMEOUT_SECONDS)
        self._filled = True
