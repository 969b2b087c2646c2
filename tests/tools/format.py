#!/usr/bin/env python3
"""Every C++ file is as clang-format writes it. `format.py --fix` rewrites them."""

import subprocess
import sys

import repository


def main():
    tool = repository.require("clang-format")
    paths = repository.files(*repository.CODE)
    mode = ["-i"] if sys.argv[1:] == ["--fix"] else ["--dry-run", "-Werror"]
    problems = []
    if paths:
        run = subprocess.run([tool, "--style=file", *mode, *paths], cwd=repository.ROOT,
                             capture_output=True, text=True)
        problems = sorted({line.split(":", 1)[0] + ": not as clang-format writes it"
                           for line in run.stderr.splitlines() if "error:" in line})
        if run.returncode and not problems:
            problems = [run.stderr]
    if problems:
        print("tests/tools/format.py --fix mends these:")
    return repository.report("format", problems, len(paths))


if __name__ == "__main__":
    sys.exit(main())
