#!/usr/bin/env python3
"""Every alert has its section in the runbook, every section its alert or its place among
SITUATIONS, and the series and commands that the runbook names exist.

  runbook_test.py ATTNCTL
"""

from __future__ import annotations

import re
import subprocess
import sys

import rule_files

import repository  # isort: skip  (of tests/tools, which rule_files finds)

PARTS = ("Means", "Confirm", "Do")
# Sections of what no alert tells.
SITUATIONS = {"A layer does not load"}
# Commands of attnctl that have some of their own.
GROUPS = ("session", "layer")


def sections(text: str) -> dict[str, str]:
    """Heading -> text of each `## ` section."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def section_problems(name: str, text: str) -> list[str]:
    """The parts that a section lacks."""
    bold = ", ".join(re.findall(r"\*\*([^*]+)\.?\*\*", text)).lower()
    return [f"{name}: no **{part}.**" for part in PARTS if not re.search(rf"\b{part.lower()}\b", bold)]


def link_problems(text: str, names: set[str]) -> list[str]:
    """Links within the page that lead nowhere."""
    anchors = {name.lower().replace(" ", "-") for name in names}
    return [f"#{anchor} leads nowhere" for anchor in re.findall(r"\]\(#([^)]+)\)", text) if anchor not in anchors]


def commands_of(attnctl: str, *path: str) -> set[str]:
    """"path command" for each sub-command that --help lists."""
    text = subprocess.run([attnctl, *path, "--help"], check=True, capture_output=True, text=True).stdout
    names = re.findall(r"^  ([a-z]+)  ", text.partition("\nSubcommands:\n")[2], re.MULTILINE)
    return {" ".join((*path, name)) for name in names}


def command_problems(attnctl: str, text: str) -> list[str]:
    """attnctl commands that it does not have."""
    known = commands_of(attnctl).union(*(commands_of(attnctl, group) for group in GROUPS))
    named = set(re.findall(rf"`?attnctl ((?:(?:{'|'.join(GROUPS)}) )?[a-z]+)", text.replace("`attnctl` stands", "")))
    return [f"attnctl {name}: no such command" for name in sorted(named - known)]


def main() -> int:
    """The exit code."""
    text = rule_files.RUNBOOK.read_text()
    found = sections(text)
    alerts = {alert.name for alert in rule_files.load("alerts.yaml")}
    problems = [f"{name}: no section" for name in sorted((alerts | SITUATIONS) - found.keys())]
    problems += [f"{name}: no such alert" for name in sorted(found.keys() - alerts - SITUATIONS)]
    for name, section in found.items():
        problems += section_problems(name, section)
    problems += link_problems(text, set(found)) + command_problems(sys.argv[1], text)
    return repository.report("runbook", problems, len(found))


if __name__ == "__main__":
    sys.exit(main())
