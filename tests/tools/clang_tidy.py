#!/usr/bin/env python3
"""clang-tidy over our own sources, in parallel, remembering what was clean.

  clang_tidy.py BUILD_FOLDER [PATH_PREFIX...]

BUILD_FOLDER has compile_commands.json and was built, so that Ninja knows what
each object was made from: a source is looked at again only when it, a header of
ours that it includes, the flags or .clang-tidy changed. Clang's own warnings
count too, -Wthread-safety among them.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

import repository

# clang reads g++'s flags here; what it does not know is no fault of the code.
EXTRA = ["--extra-arg=-Wthread-safety", "--extra-arg=-Wno-unknown-warning-option",
         "--extra-arg=-Wno-ignored-optimization-argument", "--extra-arg=-Wno-unused-command-line-argument"]
# The analyzer takes most of the time: 49 s instead of 11 for core/engine/engine.cc
# beside other work, 46 instead of 6 for a test. It looks at what reads bytes from
# outside and at raw memory; the sanitizers run all of it.
ANALYZER = "clang-analyzer-*"
ANALYZED = ("core/checkpoint/", "core/kv_cache/", "core/layer/", "core/memory/", "core/snapshot/", "core/tensor/",
            "server/fragmented_bytes", "server/message_", "server/wire_")
# In tests: growing a vector costs nothing that matters, sizes are small
# literals, and bytes are compared on purpose.
TESTS = ["performance-inefficient-vector-operation", "bugprone-implicit-widening-of-multiplication-result",
         "bugprone-suspicious-memory-comparison", "bugprone-use-after-move"]
# They look at all of CLI11's, gRPC's and GoogleTest's headers, too: the first
# takes 40 % of the time, the others a third of what is left, for faults that
# compilers warn of as well or sanitizers find. core has them.
OUTSIDE_CORE = ["performance-unnecessary-value-param", "bugprone-reserved-identifier", "bugprone-stringview-nullptr",
                "bugprone-suspicious-semicolon", "bugprone-assert-side-effect", "bugprone-multiple-statement-macro",
                "bugprone-sizeof-expression", "bugprone-infinite-loop", "bugprone-suspicious-string-compare",
                "modernize-redundant-void-arg", "misc-non-copyable-objects"]
NOISE = ("warnings generated", "warning generated", "Suppressed ", "Use -header-filter",
         "warnings treated as errors", "warning treated as error")


def object_dependencies(build):
    """{object: [files of ours and generated ones]} as Ninja recorded them."""
    run = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True)
    ours, current = {}, None
    for line in run.stdout.splitlines():
        if line and not line.startswith(" "):
            current = ours.setdefault(line.split(":", 1)[0], [])
        elif line.strip():
            path = (build / line.strip()).resolve()
            if path.is_relative_to(repository.ROOT):
                current.append(path)
    return ours


def checks_of(path):
    """Flags that turn checks off. clang-tidy takes the last --checks alone."""
    off = [] if path.startswith(ANALYZED) else [ANALYZER]
    if not path.startswith("core/"):
        off += OUTSIDE_CORE
    if path.startswith("tests/"):
        off += TESTS
    return [f"--checks={','.join('-' + check for check in off)}"] if off else []


class Checker:
    def __init__(self, build, tool):
        self.build, self.tool = build, tool
        self.stamps = repository.Stamps(build / "tools/clang_tidy")
        self.dependencies = object_dependencies(build)
        version = subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout
        self.identity = version + (repository.ROOT / ".clang-tidy").read_text() + " ".join(EXTRA)

    def command(self, entry):
        return [self.tool, "--quiet", "-p", str(self.build), *EXTRA, *checks_of(entry["path"]), entry["file"]]

    def key(self, entry):
        command = shlex.split(entry["command"])
        read = self.dependencies.get(command[command.index("-o") + 1], [])
        source = pathlib.Path(entry["file"])
        existing = sorted(path for path in {*read, source} if path.exists())
        return self.stamps.key(self.identity, self.command(entry), entry["command"], *existing)

    def __call__(self, entry):
        """(path, clang-tidy's words or "", seconds; None where it was known)."""
        path = entry["path"]
        key = self.key(entry)
        if self.stamps.has(key):
            return path, "", None
        started = time.monotonic()
        run = subprocess.run(self.command(entry), cwd=repository.ROOT, capture_output=True, text=True)
        words = [line for line in (run.stdout + run.stderr).splitlines()
                 if not any(noise in line for noise in NOISE)]
        if run.returncode:
            return path, "\n".join(words), time.monotonic() - started
        self.stamps.add(key)
        return path, "", time.monotonic() - started


def entries(build, prefixes):
    """Our own sources among the compile commands, the slowest kinds first."""
    own = set(repository.files(".cc"))
    commands = json.loads((build / "compile_commands.json").read_text())
    chosen = {}
    for entry in commands:
        path = os.path.relpath(entry["file"], repository.ROOT)
        if path in own and path.startswith(tuple(prefixes) or ("",)):
            chosen.setdefault(path, {**entry, "path": path})
    order = {"server": 0, "client": 1, "tests": 2, "core": 3}
    return [chosen[path] for path in sorted(chosen, key=lambda path: (order.get(path.split("/")[0], 9), path))]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("prefixes", nargs="*")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    check = Checker(build, repository.require("clang-tidy"))
    problems, chosen = [], entries(build, arguments.prefixes)
    slow = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, words, seconds in pool.map(check, chosen):
            if seconds is not None:
                slow.append((seconds, path))
                print(f"{path}: {'problems' if words else 'clean'} ({seconds:.0f} s)", flush=True)
            if words:
                problems.append(words)
    print(f"looked at {len(slow)} of {len(chosen)} files, the others have not changed")
    return repository.report("clang-tidy", problems, len(chosen))


if __name__ == "__main__":
    sys.exit(main())
