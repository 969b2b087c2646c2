"""The real server as a child process, and a client generated at run time."""

from __future__ import annotations

import importlib
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
from types import ModuleType

import grpc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
READY_WITHIN_SECONDS = 60
LARGEST_MESSAGE = 512 << 20


def generate_client(folder: str) -> tuple[ModuleType, ModuleType, ModuleType]:
    """types_pb2, attention_pb2 and attention_pb2_grpc, made in `folder`."""
    from grpc_tools import protoc  # Slow to import; only here.

    files = [str(PROTO / "attn/v1" / name) for name in ("types.proto", "attention.proto")]
    arguments = ["protoc", f"-I{PROTO}", f"--python_out={folder}", f"--grpc_python_out={folder}", *files]
    if protoc.main(arguments) != 0:
        raise RuntimeError(f"protoc failed on {PROTO}")
    sys.path.insert(0, folder)
    names = ("types_pb2", "attention_pb2", "attention_pb2_grpc")
    types, attention, services = (importlib.import_module(f"attn.v1.{name}") for name in names)
    return types, attention, services


class Server:
    """attnserve on a free port; a context manager. Its log is in `log`."""

    def __init__(self, binary: str, *flags: str) -> None:
        self.log: list[str] = []
        self._ready = threading.Event()
        self._address = ""
        self._process = subprocess.Popen(
            [binary, "--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0", "--drain-delay", "0s", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.log.append(line)
            found = re.search(r"serving .*grpc=(\S+)", line)
            if found:
                self._address = found.group(1)
                self._ready.set()
        self._ready.set()

    def __enter__(self) -> Server:
        return self

    def address(self) -> str:
        """Waits until the server serves. RuntimeError if it does not."""
        if not self._ready.wait(READY_WITHIN_SECONDS) or not self._address:
            raise RuntimeError("the server did not start:\n" + "".join(self.log))
        return self._address

    def stop(self) -> int:
        """Its exit code after SIGTERM."""
        if self._process.poll() is None:
            self._process.terminate()
        return self._process.wait(timeout=60)

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Client:
    """AttentionService on a server; a context manager."""

    def __init__(self, address: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="attn-interop-")
        self.types, self.attention, services = generate_client(self._folder.name)
        options = [("grpc.max_receive_message_length", LARGEST_MESSAGE),
                   ("grpc.max_send_message_length", LARGEST_MESSAGE)]
        self._channel = grpc.insecure_channel(address, options=options)
        self._stub = services.AttentionServiceStub(self._channel)

    def attend(self, request):
        """The response. grpc.RpcError where the server refuses."""
        return self._stub.Attend(request, timeout=60)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._folder.cleanup()
