#!/usr/bin/env python3
"""deploy/README.md's examples of sizing are what `attnctl plan` prints.

  sizing_test.py ATTNCTL          # 1 if they differ
  sizing_test.py ATTNCTL --fix    # writes what it prints there
"""

from __future__ import annotations

import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
README = ROOT / "deploy/README.md"

sys.path.insert(0, str(ROOT / "tests/tools"))
import repository  # noqa: E402  pylint: disable=wrong-import-position

# A command, over one line or several, and what it printed: an indented block.
EXAMPLE = re.compile(r"^    \$ attnctl (plan (?:.*\\\n)*.*\n)((?:    .*\n)*)", re.MULTILINE)
EXAMPLES = 3


def printed(attnctl: str, command: str) -> str:
    """What it prints, indented as in the README."""
    words = shlex.split(command.replace("\\\n", " "))
    output = subprocess.run([attnctl, *words], check=True, capture_output=True, text=True).stdout
    return "".join(f"    {line}\n" for line in output.splitlines())


def main() -> int:
    """The exit code."""
    attnctl, text = sys.argv[1], README.read_text()
    found = EXAMPLE.findall(text)
    problems = [] if len(found) == EXAMPLES else [f"{len(found)} examples of attnctl plan, not {EXAMPLES}"]
    for command, shown in found:
        output = printed(attnctl, command)
        if shown != output:
            problems.append(f"deploy/README.md shows\n{shown}but attnctl {command.strip()} prints\n{output}")
    if sys.argv[2:] == ["--fix"]:
        README.write_text(EXAMPLE.sub(
            lambda example: f"    $ attnctl {example.group(1)}{printed(attnctl, example.group(1))}", text))
        return 0
    return repository.report("sizing", problems, len(found))


if __name__ == "__main__":
    sys.exit(main())
