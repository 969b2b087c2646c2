"""AttendRequest and AttendResponse without generated messages for the tensors.

Generated messages copy tensors into fields and out of them. Here, as in client/cpp, a
tensor is copied once, into the request, and the output is a view of the reply.
"""

from __future__ import annotations

from typing import Iterator

import numpy as np

BYTES, VARINT = 2, 0  # Wire types.
# Field numbers of proto/attn/v1.
QUERY, KEY, VALUE = 2, 3, 4
OUTPUT, TIMING, COMPUTE_NS = 2, 7, 2
DTYPE, SHAPE, DATA, F32 = 1, 2, 3, 1


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _tensor(field: int, array: np.ndarray) -> list[bytes | memoryview]:
    shape = b"".join(_varint(length) for length in array.shape)
    head = (_tag(DTYPE, VARINT) + _varint(F32) + _tag(SHAPE, BYTES) + _varint(len(shape)) + shape +
            _tag(DATA, BYTES) + _varint(array.nbytes))
    return [_tag(field, BYTES) + _varint(len(head) + array.nbytes) + head, memoryview(array).cast("B")]


def request(tensors: dict[int, np.ndarray], rest: bytes = b"") -> bytes:
    """`tensors` by field number, f32 and contiguous; `rest` is a serialised
    AttendRequest of the other fields."""
    parts: list[bytes | memoryview] = [rest]
    for field, array in tensors.items():
        parts += _tensor(field, array)
    return b"".join(parts)


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, at = _read_varint(message, at)
        if tag & 7 == BYTES:
            yield tag >> 3, message[at:at + number]
            at += number
        elif tag & 7 == VARINT:
            yield tag >> 3, number
        else:
            raise ValueError(f"wire type {tag & 7} in a reply")


def reply(message: bytes) -> tuple[np.ndarray, float]:
    """The output, flat, and the server's compute time in seconds."""
    fields = dict(_fields(memoryview(message)))
    output, timing = dict(_fields(fields[OUTPUT])), dict(_fields(fields[TIMING]))
    return np.frombuffer(output[DATA], np.float32), timing.get(COMPUTE_NS, 0) / 1e9
