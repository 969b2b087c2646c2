# Sourced by install and run, which set `here`.
# shellcheck shell=bash

# stamp: what a virtual environment was made from.
stamp() {
  # shellcheck disable=SC2154
  cat "$here/requirements.txt" "$here/requirements-torch.txt" "$here/cuda_stand_ins.py" \
    "$here/requirements-perf-analyzer.txt" | cksum
}
