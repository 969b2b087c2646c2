"""torch, loaded as tests/interop does it, and the fixtures of tests/python."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "python")]

from peers.torch_loader import torch  # noqa: E402,F401  pylint: disable=wrong-import-position,unused-import

pytest_plugins = ["server_fixtures"]
