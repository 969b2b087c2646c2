#!/usr/bin/env python3
"""No source or test above 400 lines: split it before that."""

import sys

import repository

SUFFIXES = (".h", ".cc", ".py", ".sh", ".proto")
LIMIT = 400


def main():
    problems = []
    paths = repository.files(*SUFFIXES)
    for path in paths:
        with (repository.ROOT / path).open(encoding="utf-8") as lines:
            length = sum(1 for _ in lines)
        if length > LIMIT:
            problems.append(f"{path}: {length} lines; the limit is {LIMIT}")
    return repository.report("file size", problems, len(paths))


if __name__ == "__main__":
    sys.exit(main())
