"""ggml through ctypes: as much of it as attention needs."""

from __future__ import annotations

import ctypes
import os
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Where its shared libraries are: install_ggml puts them in the second.
FOLDERS = (os.environ.get("ATTN_BENCH_GGML", ""), str(ROOT / "build/ggml"))
TYPE_F32, DEVICE_CPU = 0, 0

_POINTER, _INT64, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
# Of the functions used, in the two libraries: result and arguments.
_BASE = {
    "ggml_new_tensor_4d": (_POINTER, [_POINTER, ctypes.c_int] + 4 * [_INT64]),
    "ggml_get_data": (_POINTER, [_POINTER]),
    "ggml_nbytes": (ctypes.c_size_t, [_POINTER]),
    "ggml_flash_attn_ext": (_POINTER, 5 * [_POINTER] + 3 * [_FLOAT]),
    "ggml_mul_mat": (_POINTER, 3 * [_POINTER]),
    "ggml_soft_max_ext": (_POINTER, 3 * [_POINTER] + 2 * [_FLOAT]),
    "ggml_new_graph": (_POINTER, [_POINTER]),
    "ggml_build_forward_expand": (None, 2 * [_POINTER]),
    "ggml_backend_dev_backend_reg": (_POINTER, [_POINTER]),
    "ggml_backend_reg_get_proc_address": (_POINTER, [_POINTER, ctypes.c_char_p]),
    "ggml_backend_graph_compute": (ctypes.c_int, 2 * [_POINTER]),
    "ggml_version": (ctypes.c_char_p, []),
    "ggml_log_set": (None, 2 * [_POINTER]),
}
_REGISTRY = {
    "ggml_backend_load_all_from_path": (None, [ctypes.c_char_p]),
    "ggml_backend_dev_by_type": (_POINTER, [ctypes.c_int]),
    "ggml_backend_init_by_type": (_POINTER, [ctypes.c_int, ctypes.c_char_p]),
}


class _InitParams(ctypes.Structure):
    """ggml_init_params."""

    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", _POINTER), ("no_alloc", ctypes.c_bool)]


def _declare(library: ctypes.CDLL, functions: dict) -> ctypes.CDLL:
    for name, (result, arguments) in functions.items():
        function = getattr(library, name, None)
        if function is None:
            raise OSError(f"{library._name} has no {name}")
        function.restype, function.argtypes = result, arguments
    return library


def _load() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    """libggml-base and libggml. OSError where there is none, or another version's."""
    for folder in filter(None, FOLDERS):
        found = sorted(pathlib.Path(folder).glob("libggml.*so*"))
        if not found:
            continue
        base = ctypes.CDLL(str(next(pathlib.Path(folder).glob("libggml-base.so*"))), mode=ctypes.RTLD_GLOBAL)
        base = _declare(base, _BASE)
        quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, _POINTER)(lambda *_: None)
        base.quiet = quiet  # Must outlive the library's use of it.
        base.ggml_log_set(ctypes.cast(quiet, _POINTER), None)
        registry = _declare(ctypes.CDLL(str(found[0])), _REGISTRY)
        # Takes the one for this CPU out of libggml-cpu-*.so.
        registry.ggml_backend_load_all_from_path(folder.encode())
        return base, registry
    raise OSError("no libggml in $ATTN_BENCH_GGML or build/ggml")


class Ggml:
    """The library and its CPU backend. OSError where it is not there."""

    def __init__(self, threads: int) -> None:
        self.base, registry = _load()
        self._backend = registry.ggml_backend_init_by_type(DEVICE_CPU, None)
        if not self._backend:
            raise OSError("libggml has no backend for this CPU")
        device = registry.ggml_backend_dev_by_type(DEVICE_CPU)
        address = self.base.ggml_backend_reg_get_proc_address(
            self.base.ggml_backend_dev_backend_reg(device), b"ggml_backend_set_n_threads")
        ctypes.CFUNCTYPE(None, _POINTER, ctypes.c_int)(address)(self._backend, threads)
        self.version = self.base.ggml_version().decode()

    def compute(self, graph: int) -> None:
        if self.base.ggml_backend_graph_compute(self._backend, graph) != 0:
            raise RuntimeError("ggml_backend_graph_compute failed")


class Context:
    """Tensors and their data, in memory of NumPy's and so in huge pages."""

    def __init__(self, ggml: Ggml, size_bytes: int) -> None:
        self._ggml = ggml
        self._memory = np.empty(size_bytes, np.uint8)
        init = ggml.base.ggml_init
        init.restype, init.argtypes = _POINTER, [_InitParams]
        self.pointer = init(_InitParams(size_bytes, self._memory.ctypes.data, False))

    def tensor(self, array: np.ndarray) -> int:
        """A copy of a contiguous f32 array, whose axes ggml counts from the last."""
        made = self._ggml.base.ggml_new_tensor_4d(self.pointer, TYPE_F32, *reversed(array.shape))
        self.view(made, array.shape)[...] = array
        return made

    def view(self, tensor: int, shape: tuple[int, ...]) -> np.ndarray:
        """A tensor's data. REQUIRES: contiguous f32 of this shape."""
        data = ctypes.cast(self._ggml.base.ggml_get_data(tensor), ctypes.POINTER(ctypes.c_float))
        assert self._ggml.base.ggml_nbytes(tensor) == 4 * int(np.prod(shape))
        return np.ctypeslib.as_array(data, shape)
