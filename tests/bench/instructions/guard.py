#!/usr/bin/env python3
"""Fixed work takes as many instructions as it did, within 5 %.

  guard.py PROGRAM                                    compares with baseline.json
  guard.py PROGRAM --update --reason "why it moved"   writes what it finds there

PROGRAM is attn_instruction_workloads of the release build. README.md beside this
script says what its workloads are and what they leave out.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))
import repository

BASELINE = HERE / "baseline.json"
WORKLOADS = ("codec", "decode", "prefill")
TOLERANCE = 0.05
# An update leaves alone what moved less, and with it the reason it has.
UNMOVED = 0.01
SKIPPED = 77


def count(valgrind, program, workload):
    """(instructions of a workload, what the program says of its build)."""
    profile = f"{program}.{workload}.callgrind"
    run = subprocess.run([valgrind, "--quiet", "--tool=callgrind", "--instr-atstart=no",
                          f"--callgrind-out-file={profile}", program, workload],
                         capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{workload}: exit code {run.returncode}\n{run.stdout}{run.stderr}")
    lines = pathlib.Path(profile).read_text().splitlines()
    totals = [int(line.split()[1]) for line in lines if line.startswith("totals:")]
    if len(totals) != 1 or totals[0] == 0:
        sys.exit(f"{workload}: {profile} has no count")
    return totals[0], run.stdout.strip()


def compare(found, baseline, program):
    """Prints a line a workload; what is wrong."""
    problems = []
    for workload, instructions in found.items():
        known = baseline["workloads"].get(workload)
        if known is None:
            problems.append(f"{workload}: not in {BASELINE.name}")
            continue
        ratio = instructions / known["instructions"]
        print(f"{workload:8} found {instructions:>11,}  baseline {known['instructions']:>11,}  ratio {ratio:.4f}")
        if abs(ratio - 1) > TOLERANCE:
            problems.append(f"{workload}: {100 * (ratio - 1):+.1f} % instructions; at most {TOLERANCE:.0%} either way "
                            f"(callgrind_annotate {program}.{workload}.callgrind shows where they are)")
    return problems


def advise(baseline, build, program):
    script = os.path.relpath(__file__, repository.ROOT)
    print("If the move is meant, for better or worse, say why and commit the new baseline:\n"
          f'  {script} {os.path.relpath(program, repository.ROOT)} --update --reason "..."')
    if build != baseline["build"]:
        print(f"The baseline is of another build: {baseline['build']}; this one is {build}")


def moved(known, instructions):
    return known is None or abs(instructions / known["instructions"] - 1) > UNMOVED


def update(found, baseline, build, reason):
    baseline["build"] = build
    for workload, instructions in found.items():
        if moved(baseline["workloads"].get(workload), instructions):
            baseline["workloads"][workload] = {"instructions": instructions, "reason": reason,
                                               "date": datetime.date.today().isoformat()}
            print(f"{workload}: {instructions:,}")
        else:
            print(f"{workload}: left, as it moved by less than {UNMOVED:.0%}")
    BASELINE.write_text(json.dumps(baseline, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--reason", default="")
    arguments = parser.parse_args()
    if arguments.update and not arguments.reason.strip():
        parser.error('--update needs --reason "why it moved"')
    valgrind = repository.require("valgrind")
    program = os.path.abspath(arguments.program)
    if not os.path.exists(program):
        print(f"skipped: {program} is not built (it needs valgrind/callgrind.h when CMake runs)")
        return SKIPPED

    found = {}
    for workload in WORKLOADS:
        found[workload], build = count(valgrind, program, workload)
    if not build.startswith("AVX2,"):
        print(f"skipped: kernels use {build}; the baseline is AVX2's")
        return SKIPPED
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"build": build, "workloads": {}}
    if arguments.update:
        update(found, baseline, build, arguments.reason)
        return 0
    problems = compare(found, baseline, program)
    if problems:
        advise(baseline, build, program)
    return repository.report("instructions", problems, len(found))


if __name__ == "__main__":
    sys.exit(main())
