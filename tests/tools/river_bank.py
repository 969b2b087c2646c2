#!/usr/bin/env python3
"""A server's answer to client/examples/river_bank, against expected.json.

  river_bank.py PATH_OF_ATTNCTL ADDRESS
"""

import ast
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import repository

EXAMPLE = repository.ROOT / "client/examples/river_bank"
# Weights are at most 1 and outputs here at most about 2: float32 and a softmax
# over ten keys stay well below this.
MAX_ERROR = 2e-6


def read_npy(path):
    """(shape, flat values) of a little-endian float32 .npy in C order."""
    blob = path.read_bytes()
    if blob[:6] != b"\x93NUMPY":
        sys.exit(f"{path} is no .npy file")
    length_format, begin = ("<H", 10) if blob[6] == 1 else ("<I", 12)
    (length,) = struct.unpack(length_format, blob[8:begin])
    header = ast.literal_eval(blob[begin : begin + length].decode())
    if header["descr"] != "<f4" or header["fortran_order"]:
        sys.exit(f"{path}: {header}")
    data = blob[begin + length :]
    return tuple(header["shape"]), struct.unpack(f"<{len(data) // 4}f", data)


def rows(path, row_index):
    """[head][column] of one row of a [1, heads, rows, columns] array."""
    (_, heads, count, columns), flat = read_npy(path)
    starts = [(head * count + row_index) * columns for head in range(heads)]
    return [flat[start : start + columns] for start in starts]


def compare(name, expected, got):
    """Each value that is not what it must be, in words."""
    if [len(row) for row in expected] != [len(row) for row in got]:
        return [f"{name}: another shape than expected.json's"]
    return [f"{name}[head {head}][{column}]: expected {want}, got {have}, allowed error {MAX_ERROR}"
            for head, (wants, haves) in enumerate(zip(expected, got))
            for column, (want, have) in enumerate(zip(wants, haves))
            if not abs(want - have) <= MAX_ERROR]


def problems_of(attnctl, address):
    expected = json.loads((EXAMPLE / "expected.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        output, weights = pathlib.Path(folder, "output.npy"), pathlib.Path(folder, "weights.npy")
        done = subprocess.run(
            [attnctl, "--address", address, "attend", "--query", EXAMPLE / "query.npy",
             "--key", EXAMPLE / "key.npy", "--value", EXAMPLE / "value.npy",
             "--weights", "probabilities", "--out", output, "--weights-out", weights],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        if done.returncode:
            return [f"attnctl attend left with {done.returncode}: {done.stdout}{done.stderr}"]
        row = expected["row_index"]
        return (compare("weights", expected["row_weights_per_head"], rows(weights, row)) +
                compare("output", expected["row_output_per_head"], rows(output, row)))


if __name__ == "__main__":
    sys.exit(repository.report("river_bank", problems_of(sys.argv[1], sys.argv[2]), 1))
