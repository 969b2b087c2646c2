"""Imports torch, also where its CUDA libraries are stand-ins without content
(see cuda_stand_ins.py): functions of theirs are then only looked up if called."""

from __future__ import annotations

import logging
import os
import sys

logging.getLogger("torch.utils.flop_counter").setLevel(logging.ERROR)  # No triton: so be it.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
_flags = sys.getdlopenflags()
sys.setdlopenflags(_flags & ~os.RTLD_NOW | os.RTLD_LAZY)
try:
    import torch
finally:
    sys.setdlopenflags(_flags)

torch.set_num_threads(1)
__all__ = ["torch"]
