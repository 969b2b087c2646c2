"""Triton's perf_analyzer as a program: its inputs, and the report of one load."""

from __future__ import annotations

import csv
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

# None where tests/interop/install could not have it.
PROGRAM = shutil.which("perf_analyzer", path=str(pathlib.Path(sys.executable).parent))
WITHIN_SECONDS = 240


def problem(q_len: int, kv_len: int, head_dim: int) -> dict:
    """8 heads on 2, random. Shapes are without the batch axis, which perf_analyzer
    puts in front."""
    def tensor(*shape: int) -> dict:
        count = shape[0] * shape[1] * shape[2]
        return {"content": [random.gauss(0, 1) for _ in range(count)], "shape": list(shape)}

    return {"Q": tensor(8, q_len, head_dim), "K": tensor(2, kv_len, head_dim), "V": tensor(2, kv_len, head_dim)}


def run(address: str, model: str, data: list, *flags: str) -> tuple[str, list[dict]]:
    """What it said, and the rows of its report: none where its windows were not
    stable. RuntimeError where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        report, inputs = pathlib.Path(folder, "report.csv"), pathlib.Path(folder, "data.json")
        inputs.write_text(json.dumps({"data": data}))
        done = subprocess.run(
            [PROGRAM, "-i", "grpc", "-u", address, "-m", model, "--input-data", inputs, "-f", report, *flags],
            capture_output=True, text=True, timeout=WITHIN_SECONDS, check=False)
        output = done.stdout + done.stderr
        if "Failed to obtain stable measurement" in output:
            return output, []
        if done.returncode != 0:
            raise RuntimeError(output)
        return output, list(csv.DictReader(report.read_text().splitlines()))
