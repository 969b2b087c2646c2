"""Every method of every service under proto/, from the descriptors: one that is
added later is in a test of all of them by itself."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf import descriptor_pb2

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


@dataclass(frozen=True)
class Method:
    service: str
    name: str
    kind: str  # "unary_unary" and so on, as grpc.Channel calls it.

    def __str__(self) -> str:
        return f"{self.service}/{self.name}"

    @property
    def is_health(self) -> bool:
        return self.service == "grpc.health.v1.Health"

    def code(self, channel: grpc.Channel, metadata: list[tuple[str, str]]) -> grpc.StatusCode:
        """What an empty message is answered; of a stream that goes on, OK after its first reply."""
        sends_many, gets_many = (side == "stream" for side in self.kind.split("_"))
        start = getattr(channel, self.kind)(f"/{self.service}/{self.name}")
        try:
            answer = start(iter([b""]) if sends_many else b"", metadata=metadata, timeout=30)
            if gets_many:
                next(iter(answer), None)
                answer.cancel()
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def contract_methods() -> list[Method]:
    if shutil.which("protoc") is None:
        pytest.skip("protoc is missing")
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    compiled = subprocess.run(["protoc", f"-I{PROTO}", "--descriptor_set_out=/dev/stdout", *files],
                              check=True, capture_output=True).stdout
    return list(_methods(descriptor_pb2.FileDescriptorSet.FromString(compiled)))


def _methods(files: descriptor_pb2.FileDescriptorSet) -> Iterator[Method]:
    for file in files.file:
        for service in file.service:
            for method in service.method:
                sides = ("stream" if many else "unary" for many in (method.client_streaming, method.server_streaming))
                yield Method(f"{file.package}.{service.name}", method.name, "_".join(sides))
