#!/usr/bin/env python3
"""A snapshot of a session, read and written by its description alone.

  snapshot_file.py PATH_OF_ATTNSERVE PATH_OF_ATTNCTL
      exports a session from a real server, reads the file by the rules of
      safetensors and of core/snapshot/README.md, writes it anew with other
      JSON text, and imports that
  snapshot_file.py --corpus FOLDER
      writes the seeds of tests/fuzz/corpus/snapshot
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import repository

PIECE = 1 << 20
ELEMENT_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I8": 1}


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc_table()


def crc32c(blob):
    crc = 0xFFFFFFFF
    for byte in blob:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def read(blob):
    """({name: (dtype, shape, bytes)}, metadata), by safetensors' rules alone."""
    (size,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8:8 + size])
    data, metadata, tensors, end = blob[8 + size:], header.pop("__metadata__"), {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = entry["data_offsets"]
        assert begin == end, f"{name} leaves a gap"
        count = ELEMENT_BYTES[entry["dtype"]]
        for length in entry["shape"]:
            count *= length
        assert stop - begin == count, f"{name} has {stop - begin} bytes, not {count}"
        tensors[name], end = (entry["dtype"], entry["shape"], data[begin:stop]), stop
    assert end == len(data), "bytes behind the last tensor"
    assert all(isinstance(value, str) for value in metadata.values())
    return tensors, metadata


def nouns(metadata):
    if metadata["kv_dtype"] != "INT8":
        return ("key", "value")
    return ("key", "key_scale", "value", "value_scale", "tail_key", "tail_value")


def page_names(metadata):
    return [f"layers.{layer}.{noun}" for layer in range(int(metadata["num_layers"]))
            for noun in nouns(metadata)]


def checksums(metadata, tensors):
    pages = b"".join(tensors[name][2] for name in page_names(metadata))
    return [crc32c(pages[at:at + PIECE]) for at in range(0, len(pages), PIECE)]


def write(metadata, tensors, **json_style):
    """The file of these pages: [header checksum][pages][their checksums]."""
    sums = checksums(metadata, tensors)
    parts = [("crc32c.header", "I64", [1], b"\0" * 8)]
    parts += [(name, *tensors[name]) for name in page_names(metadata)]
    parts += [("crc32c.pages", "I64", [len(sums)], struct.pack(f"<{len(sums)}q", *sums))]
    header, end = {"__metadata__": metadata}, 0
    for name, dtype, shape, blob in parts:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(blob)]}
        end += len(blob)
    text = json.dumps(header, **json_style).encode()
    head = struct.pack("<Q", len(text)) + text
    return head + struct.pack("<q", crc32c(head)) + b"".join(part[3] for part in parts[1:])


def places_behind(metadata, tensors):
    """Every element behind a layer's length, as bytes."""
    is_packed = metadata["kv_dtype"] == "INT8"
    width = 4 if is_packed else ELEMENT_BYTES[metadata["kv_dtype"]]
    prefix = "tail_" if is_packed else ""
    for layer, length in enumerate(map(int, metadata["layer_lengths"].split(","))):
        used = length % 64
        if used:
            _, (pages, heads, dims, _), keys = tensors[f"layers.{layer}.{prefix}key"]
            for row in range((pages - 1) * heads * dims, pages * heads * dims):
                yield keys[(row * 64 + used) * width:(row + 1) * 64 * width]
            _, (pages, heads, _, dims), values = tensors[f"layers.{layer}.{prefix}value"]
            for head in range((pages - 1) * heads, pages * heads):
                yield values[(head * 64 + used) * dims * width:(head + 1) * 64 * dims * width]


def problems_of_file(blob):
    tensors, metadata = read(blob)
    head = len(blob) - sum(len(tensor[2]) for tensor in tensors.values())
    problems = []
    if struct.unpack("<q", tensors["crc32c.header"][2]) != (crc32c(blob[:head]),):
        problems.append("the header's checksum is another one here")
    found = tensors["crc32c.pages"][2]
    if list(struct.unpack(f"<{len(found) // 8}q", found)) != checksums(metadata, tensors):
        problems.append("the checksums of the pages are others here")
    if any(byte for row in places_behind(metadata, tensors) for byte in row):
        problems.append("a place behind a layer's length is not 0")
    return problems


class Session:
    """attnctl against one server."""

    def __init__(self, attnctl, address):
        self.command = [attnctl, "--address", address, "session"]

    def __call__(self, *words):
        done = subprocess.run([*self.command, *map(str, words)], capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)
        if done.returncode:
            raise AssertionError(f"attnctl session {words}: {done.stderr.decode()}")
        return done.stdout


def problems_of_dtype(session, folder, dtype):
    first, second, again = (pathlib.Path(folder, dtype + name) for name in ("1", "2", "3"))
    session("create", "s", "--head-dim", 24, "--value-head-dim", 8, "--kv-heads", 3,
            "--layers", 3, "--kv-dtype", dtype)
    session("append", "s", "--random", 130, "--layer", 1)
    session("append", "s", "--random", 64, "--layer", 2)
    session("export", "s", first)
    blob = first.read_bytes()
    problems = problems_of_file(blob)
    tensors, metadata = read(blob)
    second.write_bytes(write(metadata, tensors, indent=1))
    session("delete", "s")
    session("import", second)
    session("export", "s", again)
    session("delete", "s")
    if again.read_bytes() != blob:
        problems.append("what this script wrote came back as another session")
    return problems


def problems_of_server(session, folder):
    return [f"{dtype}: {problem}" for dtype in ("f16", "int8", "f32", "bf16")
            for problem in problems_of_dtype(session, folder, dtype)]


def check_server(attnserve, attnctl):
    address = repository.free_address()
    server = subprocess.Popen(
        [attnserve, "--grpc-address", address, "--http-address", "127.0.0.1:0"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        subprocess.run([attnctl, "--address", address, "health", "--wait", "20s"],
                       check=False, stdout=subprocess.DEVNULL, timeout=60)
        with tempfile.TemporaryDirectory() as folder:
            return problems_of_server(Session(attnctl, address), folder)
    except AssertionError as error:
        return [str(error)]
    finally:
        server.kill()
        server.wait()


def seed(window="0", lengths="0,65", firsts="0,0", dtype="F16"):
    """Two layers of one head of 2 channels."""
    metadata = {
        "format": "attnserve.snapshot/1", "session_id": "seed", "num_layers": "2",
        "layout": "layers.N.key [pages, num_kv_heads, head_dim, 64] and layers.N.value "
                  "[pages, num_kv_heads, 64, value_head_dim]: pages of 64 tokens from "
                  "first_tokens[N] on, places behind layer_lengths[N] are 0",
        "num_kv_heads": "1", "head_dim": "2", "value_head_dim": "1", "kv_dtype": dtype,
        "max_length": "1000", "window": window, "idle_ttl_ns": "1000000000",
        "page_tokens": "64", "layer_lengths": lengths, "first_tokens": firsts}
    tensors = {}
    for layer, (length, first) in enumerate(zip(lengths.split(","), firsts.split(","))):
        pages = (int(length) + 63) // 64 - int(first) // 64
        for noun, dims in (("key", [2, 64]), ("value", [64, 1])):
            count = pages * dims[0] * dims[1]
            blob = bytes(index % 60 for index in range(count * ELEMENT_BYTES[dtype]))
            tensors[f"layers.{layer}.{noun}"] = (dtype, [pages, 1, *dims], blob)
    return write(metadata, tensors, separators=(",", ":"))


def write_corpus(folder):
    whole = seed()
    (size,) = struct.unpack("<Q", whole[:8])
    pages = whole[16 + size:]
    seeds = {
        "whole": b"\0\0" + whole,
        "fragments": b"\7\0" + whole,
        "cut": b"\0\0" + whole[:-1],
        "flipped": b"\0\0" + whole[:-40] + b"\xff" + whole[-39:],
        "huge_header": b"\0\0" + b"\xff" * 40,
        "window": b"\0\0" + seed(window="10", lengths="200,65", firsts="128,0"),
        "bf16_empty": b"\0\0" + seed(lengths="0,0", dtype="BF16"),
        "f32_one": b"\3\0" + seed(lengths="1,64", dtype="F32"),
        "repaired": b"\0\1" + whole[8:8 + size] + b"\0" + pages,
        "repaired_length": b"\0\1" + whole[8:8 + size].replace(b'"0,65"', b'"9,65"'),
        "repaired_int8": b"\0\1" + whole[8:8 + size].replace(b'"kv_dtype":"F16"', b'"kv_dtype":"INT8"'),
        "repaired_deep": b"\0\1" + b"[" * 500,
        "repaired_huge": b"\0\1" + whole[8:8 + size].replace(
            b'"max_length":"1000"', b'"max_length":"9223372036854775807"'),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, blob in seeds.items():
        (folder / name).write_bytes(blob)


if __name__ == "__main__":
    if sys.argv[1] == "--corpus":
        write_corpus(pathlib.Path(sys.argv[2]))
    else:
        if not all(pathlib.Path(path).exists() for path in sys.argv[1:3]):
            print("skipped: no server or no attnctl was built")
            sys.exit(77)
        sys.exit(repository.report("snapshot_file", check_server(*sys.argv[1:3]), 1))
