#!/usr/bin/env python3
"""Every shell script passes shellcheck, and every Python file compiles."""

import subprocess
import sys

import repository


def is_shell(path):
    if path.endswith(".sh"):
        return True
    if "." in path.rsplit("/", 1)[-1].lstrip("."):
        return False
    with (repository.ROOT / path).open("rb") as file:
        first = file.readline()
    return first.startswith(b"#!") and b"sh" in first.rsplit(b"/", 1)[-1].split()[-1]


def main():
    shellcheck = repository.require("shellcheck")
    shell = [path for path in repository.files() if is_shell(path)]
    python = repository.files(".py")
    problems = []
    for path in shell:
        run = subprocess.run([shellcheck, "--external-sources", "--source-path", str(repository.ROOT), path],
                             cwd=repository.ROOT, capture_output=True, text=True)
        if run.returncode:
            problems.append(run.stdout + run.stderr)
    for path in python:
        try:
            compile((repository.ROOT / path).read_text(), path, "exec")
        except SyntaxError as error:
            problems.append(f"{path}: {error}")
    return repository.report("scripts", problems, len(shell) + len(python))


if __name__ == "__main__":
    sys.exit(main())
