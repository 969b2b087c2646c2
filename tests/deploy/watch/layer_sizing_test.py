#!/usr/bin/env python3
"""deploy/README.md's table of layers: bytes are what a real server reports of such a
layer in each format, tokens/s what the formula above the table gives.

  layer_sizing_test.py ATTNSERVE ATTNCTL
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import rule_files
import served_series

sys.path.insert(0, str(rule_files.ROOT / "tests/deploy"))
from zero_model import ZeroModel  # noqa: E402  pylint: disable=wrong-import-position

import repository  # isort: skip  (of tests/tools, which rule_files finds)

README = rule_files.ROOT / "deploy/README.md"
FORMATS = ("f32", "bf16", "int8")
FLOPS = 200e9  # Of a worker.
_ROW = re.compile(r"^\| (\d+), (\d+), (\d+), (\d+) \| .*? \| (.*?) MiB \| (.*?) MiB \| (.*?) MiB \| (\d+) \|$",
                  re.MULTILINE)


def reported(attnserve: str, attnctl: str, models: pathlib.Path, weights: str) -> dict[str, str]:
    """Model -> bytes of its layer in this format, as the README writes them."""
    flags = (f"--layers={models}", f"--layer-weights={weights}")
    with served_series.Server(attnserve, *flags) as server:
        done = subprocess.run([attnctl, "--address", server.address(), "layer", "list", "--json"],
                              check=True, capture_output=True, text=True)
    layers = json.loads(done.stdout)["layers"]
    return {layer["name"].split("/")[0]: f"{int(layer['weight_bytes']) / 2**20:.1f}" for layer in layers}


def tokens_per_second(dims: tuple[int, ...]) -> int:
    """Of prompts, to two digits."""
    hidden, q_heads, kv_heads, head_dim = dims
    return int(float(f"{FLOPS / (2 * 2 * hidden * head_dim * (q_heads + kv_heads)):.1e}"))


def main() -> int:
    """The exit code."""
    attnserve, attnctl = sys.argv[1:]
    if not os.path.exists(attnserve) or not os.path.exists(attnctl):
        print(f"skipped: {attnserve} or {attnctl} is not built")
        return 77
    rows = _ROW.findall(README.read_text())
    problems = [] if rows else ["deploy/README.md has no table of layers"]
    with tempfile.TemporaryDirectory() as top:
        models = pathlib.Path(top)
        for row in rows:
            ZeroModel(*map(int, row[:4])).write(models / "-".join(row[:4]))
        found = {weights: reported(attnserve, attnctl, models, weights) for weights in FORMATS}
    for row in rows:
        dims = tuple(map(int, row[:4]))
        real = (*(found[weights]["-".join(row[:4])] for weights in FORMATS), str(tokens_per_second(dims)))
        if row[4:] != real:
            problems.append(f"{dims}: the README says {row[4:]}; it is {real}")
    return repository.report("sizes of layers", problems, len(rows))


if __name__ == "__main__":
    sys.exit(main())
