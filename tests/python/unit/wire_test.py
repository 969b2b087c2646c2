"""Messages in pieces are those that protobuf writes, and are read as it reads them."""

import pytest

from attnserve import _contract as pb
from attnserve._wire import WireError, WireMessage, cut_fields, repeated_field


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 300000])
def test_appended_field_is_what_protobuf_writes(size):
    message = WireMessage(pb.Tensor(dtype=1, shape=[size]).SerializeToString())
    message.append_field(3, WireMessage(b"x" * size))
    assert pb.Tensor.FromString(message.to_bytes()) == pb.Tensor(dtype=1, shape=[size], data=b"x" * size)
    assert message.size_bytes == len(message.to_bytes())


def test_cut_fields_leaves_what_protobuf_can_read():
    response = pb.AttendResponse(request_id="a", output=pb.Tensor(data=b"123"), session_length=1 << 40)
    response.timing.batch_size = 7
    rest, found = cut_fields(memoryview(response.SerializeToString()), {2, 3})
    assert pb.Tensor.FromString(bytes(found[2])).data == b"123"
    assert 3 not in found
    response.ClearField("output")
    assert pb.AttendResponse.FromString(rest) == response


def test_fixed_fields_are_skipped_whole():
    params = pb.AttentionParams(scale=0.5, softcap=2.0, sinks=[1.0, 2.0])
    rest, found = cut_fields(memoryview(params.SerializeToString()), {8})
    assert bytes(found[8]) == b"\0\0\x80?\0\0\0@"
    params.ClearField("sinks")
    assert pb.AttentionParams.FromString(rest) == params


def test_repeated_field_keeps_the_order():
    batch = pb.AttendBatchRequest(requests=[pb.AttendRequest(request_id=name) for name in "abc"])
    fields = repeated_field(memoryview(batch.SerializeToString()), 1)
    assert [pb.AttendRequest.FromString(bytes(field)).request_id for field in fields] == list("abc")


def test_every_cut_of_a_message_is_read_or_refused():
    message = pb.AttendResponse(request_id="abc", output=pb.Tensor(shape=[3], data=b"123")).SerializeToString()
    whole = 0
    for end in range(len(message)):
        try:
            cut_fields(memoryview(message)[:end], {2})
            whole += 1
        except WireError:
            pass
    assert whole == 2  # Empty, and between the two fields.


@pytest.mark.parametrize("message", [b"\x0b", b"\x0c", b"\xff" * 11, b"\x12\x05abc", b"\x09\0"])
def test_damaged_message_is_refused(message):
    with pytest.raises(WireError):
        cut_fields(memoryview(message), {2})
