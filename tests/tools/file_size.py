#!/usr/bin/env python3
"""No source file above 600 lines, no test above 800: split it before that."""

import sys

import repository

SUFFIXES = (".h", ".cc", ".py", ".sh", ".proto")


def limit(path):
    return 800 if path.startswith("tests/") else 600


def main():
    problems = []
    paths = repository.files(*SUFFIXES)
    for path in paths:
        with (repository.ROOT / path).open(encoding="utf-8") as lines:
            length = sum(1 for _ in lines)
        if length > limit(path):
            problems.append(f"{path}: {length} lines; the limit is {limit(path)}")
    return repository.report("file size", problems, len(paths))


if __name__ == "__main__":
    sys.exit(main())
