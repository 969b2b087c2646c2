# Sourced by install, run and python/run, which set `here` (this folder) and `venv`.
# shellcheck shell=bash

# stamp: what a virtual environment was made from.
stamp() {
  # shellcheck disable=SC2154
  cat "$here"/requirements*.txt "$here/cuda_stand_ins.py" | cksum
}

# require_venv: ends with 77 and the reason where tests/interop/install did not run.
require_venv() {
  # shellcheck disable=SC2154
  if [[ ! -f $venv/stamp || $(<"$venv/stamp") != "$(stamp)" ]]; then
    printf 'skipped: build/interop-venv is missing or old; tests/run interop makes it\n'
    exit 77
  fi
}
