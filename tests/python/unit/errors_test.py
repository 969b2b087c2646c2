"""Errors say what google.rpc.Status says, in classes of their own."""

import pickle

import grpc
import pytest

from attnserve import _contract as pb
from attnserve import errors


def status(*details):
    message = pb.Status()
    for name, detail in details:
        message.details.add(type_url=f"type.googleapis.com/google.rpc.{name}", value=detail.SerializeToString())
    return message.SerializeToString()


WHOLE = status(
    ("ErrorInfo", pb.ErrorInfo(reason="LENGTH_MISMATCH", metadata={"found_length": "7"})),
    ("BadRequest", pb.BadRequest(field_violations=[{"field": "key", "description": "is long"}])),
    ("RetryInfo", pb.RetryInfo(retry_delay={"seconds": 1, "nanos": 500000000})),
    ("Unknown", pb.Status()))


def test_details_are_read():
    details = errors.parse_details(WHOLE)
    assert (details.reason, details.metadata, details.retry_delay) == ("LENGTH_MISMATCH", {"found_length": "7"}, 1.5)
    assert details.field_violations == (errors.FieldViolation("key", "is long"),)


@pytest.mark.parametrize("serialized", [b"", b"\xff", WHOLE[:-1], status(("ErrorInfo", pb.Status()))])
def test_damaged_details_are_none(serialized):
    assert errors.parse_details(serialized).reason == ""


def test_text_holds_everything_once():
    error = errors.from_status(grpc.StatusCode.FAILED_PRECONDITION, "no", errors.parse_details(WHOLE))
    assert str(error) == "FAILED_PRECONDITION (LENGTH_MISMATCH): no\n  key: is long\n  retry after 1.5 s"
    error = errors.from_status(grpc.StatusCode.FAILED_PRECONDITION, "key is bad", errors.parse_details(WHOLE))
    assert "is long" not in str(error)


def test_length_mismatch_knows_the_found_length():
    error = errors.from_status(grpc.StatusCode.FAILED_PRECONDITION, "no", errors.parse_details(WHOLE))
    assert isinstance(error, errors.LengthMismatchError) and error.found_length == 7
    assert errors.LengthMismatchError(error.code, "no").found_length is None


@pytest.mark.parametrize("code, kind, builtin", [
    ("INVALID_ARGUMENT", errors.InvalidArgumentError, ValueError),
    ("NOT_FOUND", errors.NotFoundError, LookupError),
    ("DEADLINE_EXCEEDED", errors.DeadlineExceededError, TimeoutError),
    ("UNAVAILABLE", errors.UnavailableError, ConnectionError),
    ("ALREADY_EXISTS", errors.AlreadyExistsError, Exception),
    ("DATA_LOSS", errors.DataLossError, Exception),
    ("CANCELLED", errors.CancelledError, Exception),
    ("INTERNAL", errors.AttnError, Exception)])
def test_each_code_has_its_class(code, kind, builtin):
    error = errors.from_status(grpc.StatusCode[code], "no")
    assert type(error) is kind and isinstance(error, builtin)


def test_queue_full_is_told_from_other_exhaustion():
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    full = errors.from_status(code, "no", errors.ErrorDetails("QUEUE_FULL"))
    memory = errors.from_status(code, "no", errors.ErrorDetails("KV_MEMORY"))
    assert type(full) is errors.QueueFullError and type(memory) is errors.ResourceExhaustedError


def test_items_of_unknown_code_are_unknown():
    assert errors.from_item(99, "no").code is grpc.StatusCode.UNKNOWN
    assert errors.from_item(8, "no").code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_error_can_be_pickled():
    error = errors.from_status(grpc.StatusCode.FAILED_PRECONDITION, "no", errors.parse_details(WHOLE))
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.found_length == 7
