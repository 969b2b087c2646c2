"""Arrays of NumPy and tensors of torch, as attn.v1.Tensor and back.

Neither torch nor ml_dtypes is imported unless the caller has, but for a bf16
reply that is to become a NumPy array.
"""

from __future__ import annotations

import math
import sys
from typing import Any, TypeAlias

import numpy as np

from attnserve import _contract as pb
from attnserve._wire import WireError, WireMessage, cut_fields

# np.ndarray or torch.Tensor: what the package takes, and gives back in kind.
Array: TypeAlias = Any

_DATA = 3  # Field number in attn.v1.Tensor.
# Little-endian, as on the wire. BF16 is ml_dtypes' and looked up by name.
_NUMPY = {"f32": "<f4", "f16": "<f2", "f64": "<f8", "bool": "|b1", "i32": "<i4", "i64": "<i8"}
_NAMES = {np.dtype(dtype): name for name, dtype in _NUMPY.items()}
_TORCH = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64", "bool": "bool",
          "i32": "int32", "i64": "int64"}


def is_torch(array: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def dtype_name(field: str, array: Array) -> str:
    """"f32", "bf16", ... Raises TypeError for what the contract cannot say."""
    if is_torch(array):
        name = next((name for name, torch_name in _TORCH.items() if f"torch.{torch_name}" == str(array.dtype)), None)
    elif isinstance(array, np.ndarray) and not isinstance(array, np.ma.MaskedArray):  # Its mask would be lost.
        # No two dtypes are called bfloat16, whichever library made it.
        dtype = array.dtype
        name = "bf16" if dtype.name == "bfloat16" else _NAMES.get(dtype.newbyteorder("<"))
    else:
        raise TypeError(f"{field} must be a NumPy array or a torch tensor; got {type(array).__name__}")
    if name is None:
        raise TypeError(f"{field} must be one of {', '.join(_TORCH)}; got dtype {array.dtype}")
    return name


def to_numpy(field: str, array: Array) -> np.ndarray:
    """The elements as NumPy has them, without a copy where that can be; torch's
    bf16 becomes int16. Raises RuntimeError for a torch tensor that wants
    gradients, since none come back."""
    if not is_torch(array):
        return np.asarray(array)
    torch = sys.modules["torch"]
    if array.requires_grad and torch.is_grad_enabled():
        raise RuntimeError(f"{field} requires grad, and attnserve computes no gradients; "
                           "use torch.no_grad() or detach() it")
    array = array.detach().to("cpu")
    if array.dtype == torch.bfloat16:
        array = array.view(torch.int16)
    return np.asarray(array.numpy())


def encode(field: str, array: Array) -> WireMessage:
    """attn.v1.Tensor. The bytes are borrowed from `array` where it is contiguous
    and little-endian, else copied. Raises TypeError, RuntimeError."""
    name = dtype_name(field, array)
    elements = to_numpy(field, array)
    if name in _NUMPY:
        elements = elements.astype(_NUMPY[name], copy=False)
    header = pb.Tensor(dtype=pb.enum_number(field, "DataType", name), shape=elements.shape)
    message = WireMessage(header.SerializeToString())
    message.append_field(_DATA, WireMessage(np.ascontiguousarray(elements).reshape(-1).view(np.uint8)))
    return message


def small_message(field: str, array: Array) -> Any:
    """The same as a protobuf message; for small tensors, whose copies are cheap."""
    return pb.Tensor.FromString(encode(field, array).to_bytes())


class Kind:
    """What replies are turned into: arrays of the same library and, of torch,
    the same device as `like`."""

    def __init__(self, like: Array) -> None:
        self._device = like.device if is_torch(like) else None

    def check(self, dtype: str) -> None:
        """Raises ImportError where this library has no such dtype."""
        if dtype == "bf16" and self._device is None:
            _bfloat16()

    def decode(self, message: memoryview) -> Array:
        """An array of its own: writable, aligned, C-contiguous, copied once from
        the bytes of `message` (attn.v1.Tensor). Raises WireError."""
        rest, found = cut_fields(message, {_DATA})
        header = pb.Tensor.FromString(rest)
        name = pb.enum_name("DataType", header.dtype)
        shape, data = tuple(header.shape), found.get(_DATA, memoryview(b""))
        if name not in _TORCH:
            raise WireError(f"a tensor of unknown dtype {name}")
        dtype = np.dtype(_NUMPY.get(name, "<u2"))
        count = math.prod(shape)
        if min(shape, default=0) < 0 or count * dtype.itemsize != len(data):
            raise WireError(f"{len(data)} bytes for a tensor {list(shape)} of {name}")
        array = np.empty(shape, dtype.newbyteorder("="))
        if count:
            array.reshape(-1)[...] = np.frombuffer(data, dtype)
        return self._wrap(array, name)

    def from_float64(self, array: np.ndarray, dtype: str) -> Array:
        """`array` rounded once to `dtype`, a float."""
        if dtype == "bf16":
            return self._wrap(_round_to_bf16(array), dtype)
        return self._wrap(array.astype(_NUMPY[dtype]), dtype)

    def _wrap(self, array: np.ndarray, name: str) -> Array:
        if self._device is None:
            return array.view(_bfloat16()) if name == "bf16" else array
        torch = sys.modules["torch"]
        if name == "bf16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(self._device)
        return torch.from_numpy(array).to(self._device)


def to_float64(field: str, array: Array) -> np.ndarray:
    """A float array as float64. Raises TypeError for another dtype."""
    name = dtype_name(field, array)
    if name not in ("f32", "f16", "bf16", "f64"):
        raise TypeError(f"{field} must be f32, f16, bf16 or f64; got {name}")
    elements = to_numpy(field, array)
    if name == "bf16":
        wide = elements.view(np.uint16).astype(np.uint32) << 16
        return wide.view(np.float32).astype(np.float64)
    return elements.astype(np.float64)


def _round_to_bf16(array: np.ndarray) -> np.ndarray:
    """As uint16. To the nearest, of two as near the even one; first to f32 by
    rounding to odd, which keeps what decides at a middle."""
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    bits = single.view(np.uint32)
    inexact = np.isfinite(single) & (single != array)
    away = np.abs(single) > np.abs(array)
    bits = np.where(inexact & away, bits - 1, bits) | inexact.astype(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)
    rounded = np.where(np.isnan(array), np.uint32(0x7FC00000), rounded)
    return (rounded >> 16).astype(np.uint16)


def _bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError("bf16 as a NumPy array needs the package ml_dtypes (pip install attnserve[bf16])") from error
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype
