#!/usr/bin/env python3
"""The deployed binary has the protections its preset asks the compiler for.

  hardening.py BINARY [BUILD_FOLDER]

With the build folder also what a linked binary no longer shows: every object file is
marked for CET (Debian's own start files are not, in 12 and 13, so the binary cannot
be), and no source takes stack by a size known only at run time.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import repository

# One for each function that can be reached by a pointer; attnctl has about 5000.
MIN_LANDING_PADS = 1000
OURS = ("core/", "server/", "client/")


def run(tool, *arguments):
    return subprocess.run([repository.require(tool), *arguments],
                          check=True, capture_output=True, text=True).stdout


def readelf(*arguments):
    return run("readelf", "--wide", *arguments)


def problems_of(binary):
    header, segments = readelf("--file-header", binary), readelf("--program-headers", binary)
    dynamic, symbols = readelf("--dynamic", binary), readelf("--dyn-syms", binary)
    code = run("objdump", "--disassemble", "--no-show-raw-insn", binary)
    stack = [line for line in segments.splitlines() if "GNU_STACK" in line]
    checked = set(re.findall(r"\b__(\w+)_chk\b", symbols)) - {"stack"}
    facts = {
        "position independent (PIE)": "DYN" in header and "FLAGS_1" in dynamic and "PIE" in dynamic,
        "read-only relocations (RELRO)": "GNU_RELRO" in segments,
        "bound at start (BIND_NOW)": "BIND_NOW" in dynamic or "Flags: NOW" in dynamic,
        "stack not executable (NX)": len(stack) == 1 and "RWE" not in stack[0],
        "stack protector": "__stack_chk_fail" in symbols,
        "checked C functions (FORTIFY)": len(checked) > 0,
        "landing pads for indirect calls (CET)": code.count("endbr64") >= MIN_LANDING_PADS,
        "no run path": "RPATH" not in dynamic and "RUNPATH" not in dynamic,
    }
    return [f"{binary}: does not hold: {fact}" for fact, holds in facts.items() if not holds], len(facts)


def unmarked_objects(build):
    """Members of our libraries without the note by which a linker would mark a program for CET."""
    problems, checked = [], 0
    for library in sorted(build.glob("**/libattn_*.a")):
        parts = readelf("--notes", str(library)).split("\nFile: ")[1:]
        checked += len(parts)
        problems += [f"{part.split(maxsplit=1)[0]}: not marked for CET" for part in parts
                     if "x86 feature: IBT, SHSTK" not in part]
    return problems, checked


def stack_by_size(build):
    """Sources that call alloca, or that are compiled without a word on variable length arrays."""
    problems = [f"{path}: calls alloca" for path in repository.files(*repository.CODE) if path.startswith(OURS)
                and re.search(r"\balloca\s*\(", (repository.ROOT / path).read_text())]
    commands = json.loads((build / "compile_commands.json").read_text())
    ours = [entry for entry in commands if os.path.relpath(entry["file"], repository.ROOT).startswith(OURS)]
    return problems + [f"{entry['file']}: compiled without -Wvla" for entry in ours
                       if " -Wvla" not in entry["command"]], len(ours)


def main():
    binary = sys.argv[1]
    if not os.path.exists(binary):
        print(f"skipped: {binary} is not built")
        return 77
    outcomes = [problems_of(binary)]
    if len(sys.argv) > 2:
        build = pathlib.Path(sys.argv[2])
        outcomes += [unmarked_objects(build), stack_by_size(build)]
    return repository.report("hardening", [problem for problems, _ in outcomes for problem in problems],
                             sum(checked for _, checked in outcomes))


if __name__ == "__main__":
    sys.exit(main())
