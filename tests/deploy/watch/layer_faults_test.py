#!/usr/bin/env python3
"""What the runbook says of a layer that does not load is what a real server logs: each
row of its table about --layers against a folder with that fault, and no row without one.

  layer_faults_test.py ATTNSERVE
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable

import rule_files

sys.path.insert(0, str(rule_files.ROOT / "tests/deploy"))
from zero_model import ZeroModel  # noqa: E402  pylint: disable=wrong-import-position

import repository  # isort: skip  (of tests/tools, which rule_files finds)

MODEL = "tiny"
WITHIN_SECONDS = 30
_SECTION = re.compile(r"^## A layer does not load$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| (?!the log|---)(.+?) \|", re.MULTILINE)


def change_config(folder: pathlib.Path, **fields: object) -> None:
    path = folder / MODEL / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def move_away(folder: pathlib.Path) -> None:
    """The model's folder; a link to it stays."""
    (folder / MODEL).rename(folder.parent / "elsewhere")
    (folder / MODEL).symlink_to(folder.parent / "elsewhere")


def cut_short(folder: pathlib.Path) -> None:
    path = folder / MODEL / "model.safetensors"
    os.truncate(path, path.stat().st_size - 1)


# Words of a row, what brings them about in the folder of a model, and flags.
FAULTS: list[tuple[str, Callable[[pathlib.Path], object], tuple[str, ...]]] = [
    ("No such file or directory", lambda folder: folder.rename(folder.parent / "gone"), ()),
    ("No such file or directory", lambda folder: (folder / MODEL / "model.safetensors").unlink(), ()),
    ("Permission denied", lambda folder: (folder / MODEL / "config.json").chmod(0), ()),
    ("weights of ... bytes do not fit", lambda folder: None, ("--max-layer-bytes=1MiB",)),
    ("there is no model ...", lambda folder: None, ("--load-layers=other/0",)),
    ("model ... has ... layers", lambda folder: None, (f"--load-layers={MODEL}/7",)),
    ("must not be a link out of the folder", move_away, ()),
    ("is not served by this version", lambda folder: change_config(folder, model_type="t5"), ()),
    ("the tensors must end where the file does", cut_short, ()),
    ("must be in the checkpoint", lambda folder: change_config(folder, num_hidden_layers=2), ()),
    ("must have the shape", lambda folder: change_config(folder, hidden_size=768), ()),
]


def command(attnserve: str, folder: pathlib.Path, flags: tuple[str, ...]) -> list[str]:
    """Without root's right to read everything."""
    words = [attnserve, f"--layers={folder}", "--grpc-address=127.0.0.1:0", "--http-address=127.0.0.1:0", *flags]
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *words] if os.geteuid() == 0 else words


def problem_of(attnserve: str, words: str, fault: Callable[[pathlib.Path], object], flags: tuple[str, ...]) -> str:
    """What is wrong with what a server says to this fault, or ""."""
    with tempfile.TemporaryDirectory() as top:
        folder = pathlib.Path(top) / "models"
        ZeroModel(hidden=512, q_heads=8, kv_heads=8, head_dim=64).write(folder / MODEL)
        fault(folder)
        done = subprocess.run(command(attnserve, folder, flags), capture_output=True, text=True,
                              check=False, timeout=WITHIN_SECONDS)
    said = done.stdout + done.stderr
    pattern = ".*".join(re.escape(part) for part in words.split("..."))
    is_said = re.search(rf'cannot start reason="layers: .*{pattern}', said)
    return "" if is_said and done.returncode == 1 else f"{words}: exit code {done.returncode}, {said}"


def main() -> int:
    """The exit code."""
    attnserve = sys.argv[1]
    if not os.path.exists(attnserve):
        print(f"skipped: {attnserve} is not built")
        return 77
    section = _SECTION.search(rule_files.RUNBOOK.read_text())
    rows = ", ".join(_ROW.findall(section.group(1))) if section else ""
    problems = [f"the runbook does not say {words}" for words, _, _ in FAULTS if words not in rows]
    left = rows
    for words, _, _ in FAULTS:
        left = left.replace(words, "")
    if left.strip(", "):
        problems.append(f"no server said {left.strip(', ')}")
    problems += [found for fault in FAULTS if (found := problem_of(attnserve, *fault))]
    return repository.report("layers that do not load", problems, len(FAULTS))


if __name__ == "__main__":
    sys.exit(main())
