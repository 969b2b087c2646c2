"""A client of AttentionService, generated at run time."""

from __future__ import annotations

import importlib
import pathlib
import sys
import tempfile
from types import ModuleType

import grpc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
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
