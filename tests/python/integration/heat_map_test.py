"""The example's picture is the one that is kept."""

import re
import subprocess
import sys

from server_fixtures import ROOT

EXAMPLE = ROOT / "client/examples/python"


def cells(svg):
    """{text of a cell: percent}, in the order of the picture."""
    found = re.findall(r"<title>(.*?): ([\d.]+) %</title>", svg)
    return [name for name, _ in found], [float(percent) for _, percent in found]


def test_picture_is_the_kept_one(address, tmp_path):
    out = tmp_path / "picture.svg"
    run = subprocess.run([sys.executable, EXAMPLE / "heat_map.py", "--target", address, "--out", out],
                         check=True, capture_output=True, text=True)
    assert run.stdout == f"{out}: 3 of 12 heads\n"
    names, percents = cells(out.read_text(encoding="utf-8"))
    kept_names, kept_percents = cells((EXAMPLE / "river_bank.svg").read_text(encoding="utf-8"))
    assert names == kept_names and len(names) == 300
    # Another instruction set may round the last digit otherwise.
    assert all(abs(found - kept) < 0.11 for found, kept in zip(percents, kept_percents))
    assert percents[names.index("bank attends to river")] == 0.0  # Head 2.
    assert percents[100 + names.index("bank attends to river")] == 71.7
