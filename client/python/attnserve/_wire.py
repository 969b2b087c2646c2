"""Protobuf messages in pieces, so that tensors are copied once.

Out: small fields are serialised by protobuf, tensors' bytes follow from where
they lie, and one join makes the message. In: the fields that hold tensors are
cut out of the reply's bytes before protobuf parses the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """Bytes that are no protobuf message."""


class WireMessage:
    """A message being put together: pieces in the order of sending."""

    def __init__(self, *pieces: Any) -> None:
        self._pieces: list[Any] = list(pieces)
        self.size_bytes = sum(len(piece) for piece in pieces)

    def append_field(self, number: int, field: WireMessage) -> None:
        """A length-delimited field that holds `field`."""
        header = _varint(number << 3 | _DELIMITED) + _varint(field.size_bytes)
        self._pieces += [header, *field._pieces]
        self.size_bytes += len(header) + field.size_bytes

    def to_bytes(self) -> bytes:
        return b"".join(self._pieces)


def cut_fields(message: memoryview, cut: set[int]) -> tuple[bytes, dict[int, memoryview]]:
    """The fields of `cut` (length-delimited, of several the last) and, without
    them, the rest of `message`. Raises WireError."""
    rest, found = [], {}
    for number, place, field in _fields(message):
        if number in cut and isinstance(field, memoryview):
            found[number] = field
        else:
            rest.append(message[place])
    return b"".join(rest), found


def repeated_field(message: memoryview, number: int) -> list[memoryview]:
    """Every length-delimited field of that number. Raises WireError."""
    return [field for n, _, field in _fields(message) if n == number and field is not None]


def _fields(message: memoryview) -> Iterator[tuple[int, slice, memoryview | None]]:
    """Number, place and, if it is length-delimited, the content of each field."""
    at = 0
    while at < len(message):
        begin = at
        key, at = _read_varint(message, at)
        kind, content = key & 7, None
        if kind == _VARINT:
            _, at = _read_varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        elif kind == _DELIMITED:
            size, at = _read_varint(message, at)
            content = message[at:at + size]
            at += size
        else:
            raise WireError(f"wire type {kind} at byte {begin}")
        if at > len(message):
            raise WireError(f"a field at byte {begin} ends beyond the message's {len(message)} bytes")
        yield key >> 3, slice(begin, at), content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise WireError(f"a number before byte {at} does not end")
