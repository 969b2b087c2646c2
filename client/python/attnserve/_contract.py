"""The messages of proto/attn/v1, made from descriptors when first imported.

They live in a descriptor pool of their own, so that neither another copy of
attn.v1 in the process nor googleapis' google.rpc can collide with them, and
they work with every protobuf from 3.21 on, whichever protoc made the file.
"""

from __future__ import annotations

import functools
import importlib.resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError as DecodeError  # Raised by what is here.


def _load() -> descriptor_pool.DescriptorPool:
    files = descriptor_pb2.FileDescriptorSet.FromString(
        importlib.resources.files(__package__).joinpath("contract.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:  # Imports come before what imports them.
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _load()
_FACTORY = None if hasattr(message_factory, "GetMessageClass") else message_factory.MessageFactory(_POOL)


def _message(name: str) -> Any:
    descriptor = _POOL.FindMessageTypeByName(name)
    if _FACTORY is not None:  # Before protobuf 4.22.
        return _FACTORY.GetPrototype(descriptor)
    return message_factory.GetMessageClass(descriptor)


Tensor = _message("attn.v1.Tensor")
AttentionParams = _message("attn.v1.AttentionParams")
RopeParams = _message("attn.v1.RopeParams")
OutputOptions = _message("attn.v1.OutputOptions")
SessionRef = _message("attn.v1.SessionRef")
AttendRequest = _message("attn.v1.AttendRequest")
AttendResponse = _message("attn.v1.AttendResponse")
AttendBatchRequest = _message("attn.v1.AttendBatchRequest")
AttendBatchResponse = _message("attn.v1.AttendBatchResponse")
AttendResult = _message("attn.v1.AttendResult")
SessionSpec = _message("attn.v1.SessionSpec")
Session = _message("attn.v1.Session")
CreateSessionRequest = _message("attn.v1.CreateSessionRequest")
ForkSessionRequest = _message("attn.v1.ForkSessionRequest")
TruncateSessionRequest = _message("attn.v1.TruncateSessionRequest")
AppendKvRequest = _message("attn.v1.AppendKvRequest")
AppendKvResponse = _message("attn.v1.AppendKvResponse")
GetSessionRequest = _message("attn.v1.GetSessionRequest")
ListSessionsRequest = _message("attn.v1.ListSessionsRequest")
ListSessionsResponse = _message("attn.v1.ListSessionsResponse")
DeleteSessionRequest = _message("attn.v1.DeleteSessionRequest")
ExportSessionRequest = _message("attn.v1.ExportSessionRequest")
SnapshotChunk = _message("attn.v1.SnapshotChunk")
ImportSessionRequest = _message("attn.v1.ImportSessionRequest")
Layer = _message("attn.v1.Layer")
ForwardRequest = _message("attn.v1.ForwardRequest")
ForwardResponse = _message("attn.v1.ForwardResponse")
ForwardBatchRequest = _message("attn.v1.ForwardBatchRequest")
ForwardBatchResponse = _message("attn.v1.ForwardBatchResponse")
ForwardResult = _message("attn.v1.ForwardResult")
ListLayersRequest = _message("attn.v1.ListLayersRequest")
ListLayersResponse = _message("attn.v1.ListLayersResponse")
GetLayerRequest = _message("attn.v1.GetLayerRequest")
LoadLayerRequest = _message("attn.v1.LoadLayerRequest")
UnloadLayerRequest = _message("attn.v1.UnloadLayerRequest")
HealthCheckRequest = _message("grpc.health.v1.HealthCheckRequest")
HealthCheckResponse = _message("grpc.health.v1.HealthCheckResponse")
Status = _message("google.rpc.Status")
ErrorInfo = _message("google.rpc.ErrorInfo")
BadRequest = _message("google.rpc.BadRequest")
RetryInfo = _message("google.rpc.RetryInfo")


def enum_number(field: str, enum: str, value: str | None) -> int:
    """The number of an enum of attn.v1 by its short lower-case name ("bhsd");
    0 for None.

    Raises ValueError for a name that the contract does not have.
    """
    if value is None:
        return 0
    names = _short_names(enum)
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{field} must be one of {', '.join(names)}; got {value!r}")
    return names[value]


def enum_name(enum: str, number: int) -> str:
    """The short lower-case name of a number, or the number as text."""
    return next((name for name, n in _short_names(enum).items() if n == number), str(number))


@functools.cache
def _short_names(enum: str) -> dict[str, int]:
    values = {value.name: value.number for value in _POOL.FindEnumTypeByName(f"attn.v1.{enum}").values}
    # All names of an enum begin with its own, as "LAYOUT_" or "DATA_TYPE_".
    prefix = _PREFIX[enum]
    return {name.removeprefix(prefix).lower(): number for name, number in values.items()
            if not name.endswith("_UNSPECIFIED")}


_PREFIX = {"Layout": "LAYOUT_", "CausalMode": "CAUSAL_", "WeightsMode": "WEIGHTS_", "Priority": "PRIORITY_",
           "DataType": "DATA_TYPE_", "KvDtype": "KV_DTYPE_", "WeightFormat": "WEIGHT_FORMAT_"}

