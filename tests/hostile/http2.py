"""One HTTP/2 connection as raw as a test likes: frames in any order, good or
bad, and what comes back. No library keeps it from doing harm."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence

import hpack
from hyperframe import frame as frames
from hyperframe.exceptions import UnknownFrameError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ATTEND = "/attn.v1.AttentionService/Attend"
HEAD_BYTES = 9
FRAME_BYTES = 16_384
INITIAL_WINDOW_SIZE = 4  # A setting of RFC 9113.
CALM = 0xB  # ENHANCE_YOUR_CALM

Field = tuple[str, str]


def call_fields(path: str = ATTEND, extra: Sequence[Field] = ()) -> list[Field]:
    """The headers of a gRPC call."""
    return [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
            ("te", "trailers"), ("content-type", "application/grpc"), *extra]


def message(payload: bytes, length: int | None = None) -> bytes:
    """A gRPC message; `length` is what its prefix claims, if that is to be a lie."""
    return b"\0" + (len(payload) if length is None else length).to_bytes(4, "big") + payload


class Connection:
    """A context manager. Streams are numbered by the caller: 1, 3, 5, ..."""

    def __init__(self, address: str, greets: bool = True, settings: dict[int, int] | None = None) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        if greets:
            self.send(PREFACE, frames.SettingsFrame(0, settings=settings or {}))

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: frames.Frame | bytes) -> None:
        self.socket.sendall(b"".join(part if isinstance(part, bytes) else part.serialize() for part in parts))

    def try_send(self, *parts: frames.Frame | bytes) -> bool:
        """False: the server has hung up, which a flood may have to expect."""
        try:
            self.send(*parts)
        except OSError:
            return False
        return True

    def headers(self, stream: int, fields: Sequence[Field], *flags: str) -> frames.HeadersFrame:
        """A HEADERS frame, by default with neither END_HEADERS nor END_STREAM."""
        return frames.HeadersFrame(stream, self.encoder.encode(fields), flags=flags)

    def acknowledge(self) -> dict[int, int]:
        """Waits for the server's settings and says that they hold: gRPC binds a client to those it acknowledged."""
        settings = self.first(frames.SettingsFrame)
        if settings is None:
            raise ConnectionError("the server hung up before its settings came")
        self.send(frames.SettingsFrame(0, flags=["ACK"]))
        assert self.lives()
        return dict(settings.settings)

    def open(self, stream: int, path: str = ATTEND, extra: Sequence[Field] = ()) -> None:
        """Begins a call whose messages are still to come."""
        self.send(self.headers(stream, call_fields(path, extra), "END_HEADERS"))

    def ask(self, stream: int, payload: bytes, path: str = ATTEND) -> None:
        """A whole call with one message that fits one frame."""
        self.open(stream, path)
        self.send(frames.DataFrame(stream, message(payload), flags=["END_STREAM"]))

    def hold_message(self, stream: int, size: int, seconds: float = 1) -> int:
        """Begins a call and sends all but the last byte of its message, as fast as flow control allows; what of it
        could be sent before the server refused, or gave no more room for so long."""
        left = memoryview(message(bytes(size - 1), size))
        try:
            room = {0: 65_535, stream: self.acknowledge().get(INITIAL_WINDOW_SIZE, 65_535)}
            self.open(stream)
            while left:
                piece = left[:min(FRAME_BYTES, room[0], room[stream])]
                if piece:
                    self.send(frames.DataFrame(stream, bytes(piece)))
                    left = left[len(piece):]
                    room = {window: rest - len(piece) for window, rest in room.items()}
                elif not self._makes_room(room, stream, seconds):
                    break
        except OSError:
            pass
        return size - 1 - len(left)

    def _makes_room(self, room: dict[int, int], stream: int, seconds: float) -> bool:
        for frame in self.received(seconds):
            if isinstance(frame, frames.WindowUpdateFrame):
                room[frame.stream_id] = room.get(frame.stream_id, 0) + frame.window_increment
                return True
            if isinstance(frame, frames.SettingsFrame) and "ACK" not in frame.flags:
                self.send(frames.SettingsFrame(0, flags=["ACK"]))
            if isinstance(frame, frames.PingFrame) and "ACK" not in frame.flags:
                self.send(frames.PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
            if isinstance(frame, frames.RstStreamFrame) and frame.stream_id == stream:
                return False
        return False

    def received(self, seconds: float = 10) -> Iterator[frames.Frame]:
        """Frames until the server hangs up; TimeoutError when it stays and says nothing for so long."""
        self.socket.settimeout(seconds)
        while True:
            head = self._read(HEAD_BYTES)
            if head is None:
                return
            try:
                frame, length = frames.Frame.parse_frame_header(memoryview(head))
            except UnknownFrameError:
                return
            body = self._read(length) if length else b""
            if body is None:
                return
            frame.parse_body(memoryview(body))
            yield frame

    def _read(self, size: int) -> bytes | None:
        found = b""
        while len(found) < size:
            try:
                piece = self.socket.recv(size - len(found))
            except ConnectionError:
                return None
            if not piece:
                return None
            found += piece
        return found

    def first(self, kind: type[frames.Frame], stream: int | None = None, seconds: float = 10) -> frames.Frame | None:
        """The next frame of this kind; None when the server hung up before."""
        for frame in self.received(seconds):
            if isinstance(frame, kind) and stream in (None, frame.stream_id):
                return frame
        return None

    def fields(self, stream: int) -> dict[str, str]:
        """All headers and trailers of a stream, up to its end."""
        found: dict[str, str] = {}
        for frame in self.received():
            if isinstance(frame, frames.HeadersFrame):
                found.update(self.decoder.decode(frame.data) if frame.stream_id == stream else {})
            if frame.stream_id == stream and "END_STREAM" in frame.flags:
                return found
        return found

    def is_hung_up(self, seconds: float = 10) -> bool:
        """Whether the server closes the connection within so long."""
        end = time.monotonic() + seconds
        try:
            for _ in self.received(seconds):
                if time.monotonic() > end:
                    return False
        except TimeoutError:
            return False
        return True

    def lives(self) -> bool:
        """Whether a ping still comes back."""
        self.send(frames.PingFrame(0, opaque_data=b"attnping"))
        try:
            for frame in self.received():
                if isinstance(frame, frames.PingFrame) and "ACK" in frame.flags:
                    return True
        except TimeoutError:
            pass
        return False
