"""Arrays become tensors of the contract and come back, of either library."""

import sys

import numpy as np
import pytest

from attnserve import _contract as pb
from attnserve._tensor import Kind, dtype_name, encode, to_float64
from attnserve._wire import WireError

DTYPES = {"f32": "<f4", "f16": "<f2", "f64": "<f8", "bool": "|b1", "i32": "<i4", "i64": "<i8"}


def through_the_wire(array, kind=None):
    return (kind or Kind(array)).decode(memoryview(encode("x", array).to_bytes()))


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_comes_back(name):
    array = (np.arange(24).reshape(2, 3, 4) % 5).astype(DTYPES[name])
    found = through_the_wire(array)
    assert dtype_name("x", array) == name
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_message_is_what_protobuf_would_make():
    array = np.array([[1.0, -2.0]], np.float32)
    message = pb.Tensor.FromString(encode("x", array).to_bytes())
    assert (message.dtype, list(message.shape), message.data) == (1, [1, 2], array.tobytes())


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
def test_empty_and_scalar_come_back(shape):
    assert through_the_wire(np.ones(shape, np.float32)).shape == shape


def test_order_in_memory_does_not_matter():
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for view in (array.swapaxes(0, 2), array[:, ::-1], np.asfortranarray(array), array.astype(">f4")):
        np.testing.assert_array_equal(through_the_wire(view), view)


def test_contiguous_array_is_borrowed_until_the_join():
    array = np.zeros(1 << 20, np.float32)
    message = encode("x", array)
    array[7] = 5.0
    assert pb.Tensor.FromString(message.to_bytes()).data == array.tobytes()


def test_decoded_array_is_the_callers_own():
    array = through_the_wire(np.ones(3, np.float32))
    assert array.flags.writeable and array.flags.aligned and array.flags.owndata


@pytest.mark.parametrize("array", [[1.0], 1.0, None, np.ones(2, np.complex64), np.ones(2, np.uint8), np.array(["a"]),
                                   np.ma.masked_array([1.0], [True])])
def test_what_the_contract_cannot_say_is_a_type_error_that_names_the_field(array):
    with pytest.raises(TypeError, match="^key must be"):
        dtype_name("key", array)


@pytest.mark.parametrize("tensor", [
    pb.Tensor(dtype=1, shape=[2], data=b"1234"), pb.Tensor(dtype=99, shape=[1], data=b"1234"),
    pb.Tensor(dtype=1, shape=[-1, -1], data=b"1234"), pb.Tensor(shape=[1], data=b"1234")])
def test_reply_that_is_no_tensor_is_refused(tensor):
    with pytest.raises(WireError):
        Kind(np.ones(1)).decode(memoryview(tensor.SerializeToString()))


def test_numpy_bf16_without_ml_dtypes_is_refused_before_sending(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match="ml_dtypes"):
        Kind(np.ones(1)).check("bf16")


def test_numpy_bf16_comes_back():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.array([1.5, -2.25, np.inf], ml_dtypes.bfloat16)
    found = through_the_wire(array)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(to_float64("x", array), [1.5, -2.25, np.inf])


def test_f64_is_rounded_to_bf16_once():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    # Just beside the middle of 1 and the next bf16: rounding to f32 first would
    # land on the middle and then on the even one.
    middle = 1 + 2.0**-8
    values = np.array([middle, np.nextafter(middle, 2), np.nextafter(middle, 0), -np.nextafter(middle, 2),
                       1e39, -np.inf, np.nan, 0.0])
    found = Kind(np.ones(1)).from_float64(values, "bf16").astype(np.float64)
    up = 1 + 2.0**-7
    np.testing.assert_array_equal(found, [1, up, 1, -up, np.inf, -np.inf, np.nan, 0])
    assert found.dtype == np.float64 and ml_dtypes.bfloat16


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "float64", "bool", "int32", "int64"])
def test_torch_tensor_comes_back_as_torch(name):
    torch = pytest.importorskip("torch")
    tensor = (torch.arange(24).reshape(2, 3, 4) % 5).to(getattr(torch, name)).transpose(0, 1)
    found = through_the_wire(tensor)
    assert found.dtype == tensor.dtype and torch.equal(found, tensor)


def test_torch_tensor_that_wants_gradients_is_refused():
    torch = pytest.importorskip("torch")
    tensor = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="query requires grad"):
        encode("query", tensor)
    with torch.no_grad():
        encode("query", tensor)
