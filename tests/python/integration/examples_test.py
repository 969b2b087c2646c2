"""The examples' pictures are those that are kept."""

import re
import subprocess
import sys

from server_fixtures import ROOT

EXAMPLES = ROOT / "client/examples/python"


def cells(svg):
    """{text of a cell: percent}, in the order of the picture."""
    found = re.findall(r"<title>(.*?): ([\d.]+) %</title>", svg)
    return [name for name, _ in found], [float(percent) for _, percent in found]


def draw(name, address, tmp_path, *arguments):
    """The picture, and what the program prints."""
    out = tmp_path / "picture.svg"
    run = subprocess.run([sys.executable, EXAMPLES / name, "--target", address, "--out", out, *arguments],
                         check=True, capture_output=True, text=True)
    return out.read_text(encoding="utf-8"), run.stdout


def test_heat_map_is_the_kept_one(address, tmp_path):
    picture, words = draw("heat_map.py", address, tmp_path)
    assert words.endswith(": 3 of 12 heads\n")
    names, percents = cells(picture)
    kept_names, kept_percents = cells((EXAMPLES / "river_bank.svg").read_text(encoding="utf-8"))
    assert names == kept_names and len(names) == 300
    # Another instruction set may round the last digit otherwise.
    assert all(abs(found - kept) < 0.11 for found, kept in zip(percents, kept_percents))
    assert percents[names.index("bank attends to river")] == 0.0  # Head 2.
    assert percents[100 + names.index("bank attends to river")] == 71.7


def test_memory_is_the_kept_one(address, tmp_path):
    picture, words = draw("session_memory.py", address, tmp_path)
    assert picture == (EXAMPLES / "session_memory.svg").read_text(encoding="utf-8")
    # Tokens x heads x dim x bytes, keys and values: 32 sessions, and 32 forks of one.
    whole, own = (count * 4 * 64 * 2 * 2 / 2**20 for count in (576, 64))
    last = {line[:18].strip(): float(line.split()[-1]) for line in words.splitlines()}
    assert last["f16"] == 32 * whole and last["f16, forks of one"] == whole + 31 * own


def test_latency_is_measured(address, tmp_path):
    picture, words = draw("latency.py", address, tmp_path, "--requests", "8")
    rows = [[float(number) for number in line.split()] for line in words.splitlines()[1:]]
    assert [int(row[0]) for row in rows] == [1, 2, 4, 8, 16, 32, 64]
    assert all(0 < median <= tail and rate > 0 for _, median, tail, rate in rows)
    assert picture.count("<circle") == 14
