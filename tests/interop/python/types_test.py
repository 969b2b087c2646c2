"""py.typed is true: the package passes mypy --strict, and a caller's mistakes are seen."""

import pathlib
import subprocess
import sys

import attnserve

PACKAGE = pathlib.Path(attnserve.__file__).parent
CONFIG = pathlib.Path(__file__).resolve().parents[3] / "client/python/pyproject.toml"

CALLER = """
import asyncio
import numpy as np
import attnserve

array = np.ones((1, 1, 1, 4))
client = attnserve.Client("x:1", timeout=1.0)
length: int = client.create_session(num_kv_heads=1, head_dim=4).append(array, array)
client.attend(array, array, array, causal="top_left", timeout=2.0)
response: attnserve.AttendResponse = asyncio.run(attnserve.aio.Client("x:1").attend(array, layer=1))
client.forward("m/0", array, causal="none", session_id="s", session_layer=1, timeout=2.0).output
attnserve.Layer("m/0", client)(array, array, top_k=3)
"""
MISTAKES = """
client.attend(array, colour=1)
client.attend(array, causal="yes")
client.create_session(num_kv_heads=1)
text: str = client.attend(array).session_length
client.forward("m/0", array, layout="bhsd")
"""


def mypy(tmp_path, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", CONFIG, "--cache-dir", tmp_path / "cache", *arguments],
        cwd=PACKAGE.parent, capture_output=True, text=True)


def test_package_is_strict(tmp_path):
    run = mypy(tmp_path, "-p", "attnserve")
    assert run.returncode == 0, run.stdout + run.stderr


def test_callers_mistakes_are_seen(tmp_path):
    caller = tmp_path / "caller.py"
    caller.write_text(CALLER)
    assert mypy(tmp_path, caller).returncode == 0
    caller.write_text(CALLER + MISTAKES)
    found = [line for line in mypy(tmp_path, caller).stdout.splitlines() if "error:" in line]
    assert len(found) == 5, found
