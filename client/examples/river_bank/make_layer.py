#!/usr/bin/env python3
"""Makes an attention layer and hidden states from which it gets this example's
query, key and value: what `attnctl layer forward` needs to show the same weights.

  make_layer.py FOLDER

writes FOLDER/model.safetensors and FOLDER/config.json, a BERT of one layer, for the
server's --layers, and FOLDER/hidden.npy [1, 10, 384]. The weights of the real model
are not in the repository, so this layer is made backwards: row t of hidden is 1 in
channel t and 0 elsewhere, and column t of W_Q, W_K and W_V is token t's query, key
and value. Products with 1 and sums with 0 are exact, so the projections give the
bytes of the .npy files. W_O is the identity: the output is the heads' outputs, side
by side. Python's standard library alone.
"""

import ast
import json
import pathlib
import struct
import sys
from array import array

HERE = pathlib.Path(__file__).resolve().parent
PART = "encoder.layer.0.attention."


def read_npy(path):
    """Heads, tokens, head dim and the floats of a [1, heads, tokens, dim] file."""
    blob = path.read_bytes()
    (header_bytes,) = struct.unpack("<H", blob[8:10])
    header = ast.literal_eval(blob[10 : 10 + header_bytes].decode())
    if blob[:7] != b"\x93NUMPY\x01" or header["descr"] != "<f4" or header["fortran_order"]:
        sys.exit(f"{path}: not a file that extract.py writes: {header}")
    return header["shape"][1:], floats(blob[10 + header_bytes :])


def floats(data):
    values = array("f", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def projection(path):
    """[width, width]: column t is the rows of token t, head after head."""
    (heads, tokens, dim), values = read_npy(path)
    width = heads * dim
    matrix = array("f", bytes(4 * width * width))
    for head in range(heads):
        for token in range(tokens):
            for channel in range(dim):
                row = head * dim + channel
                matrix[row * width + token] = values[(head * tokens + token) * dim + channel]
    return matrix


def identity(width, rows):
    """[rows, width]"""
    matrix = array("f", bytes(4 * rows * width))
    for row in range(rows):
        matrix[row * width + row] = 1.0
    return matrix


def little_endian(values):
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def write_safetensors(path, tensors):
    """tensors: {name: (shape, floats)}"""
    header, offset = {}, 0
    for name, (shape, values) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + 4 * len(values)]}
        offset += 4 * len(values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(little_endian(values) for _, values in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_npy(path, shape, values):
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + little_endian(values))


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (heads, tokens, dim), _ = read_npy(HERE / "query.npy")
    width = heads * dim
    square, none = [width, width], array("f", bytes(4 * width))
    tensors = {}
    for name in ("query", "key", "value"):
        tensors[f"{PART}self.{name}.weight"] = (square, projection(HERE / f"{name}.npy"))
        tensors[f"{PART}self.{name}.bias"] = ([width], none)
    tensors[f"{PART}output.dense.weight"] = (square, identity(width, width))
    tensors[f"{PART}output.dense.bias"] = ([width], none)
    write_safetensors(folder / "model.safetensors", tensors)
    config = {"model_type": "bert", "hidden_size": width, "num_attention_heads": heads, "num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(config) + "\n")
    write_npy(folder / "hidden.npy", (1, tokens, width), identity(width, tokens))


if __name__ == "__main__":
    main()
