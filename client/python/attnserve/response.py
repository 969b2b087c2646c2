"""What calls answer: attn.v1.AttendResponse and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from attnserve._tensor import Array
from attnserve.errors import AttnError


@dataclass(frozen=True, eq=False)
class TopWeights:
    """The largest weights of every row, largest first."""

    indices: Array
    """[B, num_q_heads, q_len, top_k] i32, keys, padded with -1."""
    probabilities: Array
    """[B, num_q_heads, q_len, top_k] f32, padded with 0."""


@dataclass(frozen=True)
class Timing:
    """Seconds as the server measured them; queue + compute <= total."""

    queue_seconds: float = 0.0
    compute_seconds: float = 0.0
    total_seconds: float = 0.0
    batch_size: int = 0
    """Tasks that ran in the same batch, this one included."""


@dataclass(frozen=True, eq=False)
class AttendResponse:
    """Tensors are of the query's library, on its device, and the caller's own."""

    output: Array
    """In the request's layout, value_head_dim as dim. A row without an allowed key is 0."""
    lse: Array | None = None
    """[B, num_q_heads, q_len] f32, natural log; -inf for a row without an allowed key."""
    weights: Array | None = None
    """[B, num_q_heads, q_len, kv_len] f32."""
    top: TopWeights | None = None
    session_length: int = 0
    """Tokens in the session's layer after the call."""
    timing: Timing = Timing()
    request_id: str = ""


AnyResponse = TypeVar("AnyResponse", bound=AttendResponse)


@dataclass(frozen=True, eq=False)
class Result(Generic[AnyResponse]):
    """Outcome of one request of a batch or stream: a response or an error."""

    request_id: str
    response: AnyResponse | None = None
    error: AttnError | None = None

    def unwrap(self) -> AnyResponse:
        """The response. Raises the error."""
        if self.error is not None:
            raise self.error
        assert self.response is not None
        return self.response


class AttendResult(Result[AttendResponse]):
    """Outcome of one AttendRequest of a batch or stream: a response or an error."""
