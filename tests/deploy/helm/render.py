#!/usr/bin/env python3
"""Renders the chart with every values file and compares with the goldens, or writes them.

  render.py [--helm PROGRAM] [--write]

To be run with --write after each change of the chart; `git diff` then shows what it
changes in a cluster. ./install brings a helm.
"""

from __future__ import annotations

import argparse
import difflib
import sys

import chart

DEFAULT_HELM = chart.ROOT / "build/deploy-tools/bin/helm"


def write(helm: str) -> None:
    chart.RENDERED.mkdir(exist_ok=True)
    for old in chart.RENDERED.glob("*.yaml"):
        old.unlink()
    for name in chart.names():
        chart.golden(name).write_text(chart.as_golden(chart.render(helm, name)))
    chart.STAMP.write_text(chart.digest() + "\n")


def difference(helm: str, name: str) -> str:
    """Empty where the golden is what the chart renders."""
    golden = chart.golden(name).read_text() if chart.golden(name).exists() else ""
    rendered = chart.as_golden(chart.render(helm, name))
    return "".join(difflib.unified_diff(golden.splitlines(True), rendered.splitlines(True),
                                        f"rendered/{name}.yaml", "the chart now"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--helm", default=str(DEFAULT_HELM))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.write:
        write(options.helm)
        return 0
    differences = [difference(options.helm, name) for name in chart.names()]
    print("".join(differences), end="")
    return 1 if any(differences) else 0


if __name__ == "__main__":
    sys.exit(main())
