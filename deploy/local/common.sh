# Sourced by deploy/local/* and tests/run: packages, configuring, building.
# Nothing here runs by itself. The caller has `set -euo pipefail`.
# shellcheck shell=bash

repository_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# What Debian 12 calls what is needed, by purpose.
packages_for() {
  case $1 in
    # oneDNN's CMake package asks for OpenCL, though nothing here uses a GPU.
    # GoogleTest is here too: the server and the tests share one build folder,
    # and a configuration without tests would make the other one start over.
    build) echo "g++ cmake ninja-build ccache pkg-config libgrpc++-dev" \
      "protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libabsl-dev" \
      "libdnnl-dev ocl-icd-opencl-dev libhwy-dev libspdlog-dev libcli11-dev prometheus-cpp-dev" \
      "libcivetweb-dev libxxhash-dev libisal-dev libssl-dev nlohmann-json3-dev libgtest-dev" \
      "libgmock-dev" ;;
    test) echo "git curl python3 binutils clang clang-tidy clang-format" \
      "shellcheck libbenchmark-dev libclang-rt-14-dev valgrind" \
      "python3-grpcio python3-numpy python3-protobuf python3-pytest python3-yaml openssl haproxy" \
      "python3-hpack python3-hyperframe" ;;
    browser) echo "chromium chromium-driver python3-selenium" ;;
    image) echo "buildah crun debootstrap" ;;
    *) fail "no such purpose: '$1' (build, test, browser, image, promtool)" ;;
  esac
}

say() { printf '\033[1m%s\033[0m\n' "$*"; }
note() { printf '  %s\n' "$*"; }

# Without a terminal at the other end, plain text.
if [[ ! -t 1 || -n ${NO_COLOR:-} ]]; then
  say() { printf '%s\n' "$*"; }
fi

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# as_root COMMAND...: runs it as root, by sudo where that is needed.
as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  elif [[ -t 0 ]]; then
    sudo "$@"
  else
    sudo -n "$@"  # Nobody is there to type a password.
  fi
}

# missing_packages PACKAGE...: those that are not installed, one a line.
missing_packages() {
  comm -23 <(printf '%s\n' "$@" | sort -u) \
    <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null |
      awk '$1 == "ii" { print $2 }' | sort -u)
}

# apt ARGUMENT...: apt-get that waits for another apt and shows its words only
# when it fails.
apt() {
  local log
  log=$(mktemp)
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get \
    -o DPkg::Lock::Timeout=600 -qq "$@" >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# apt_install PACKAGE...
apt_install() {
  if [[ $EUID -ne 0 ]] && ! command -v sudo >/dev/null; then
    fail "these Debian packages are missing, and this is neither root nor a" \
      "machine with sudo. As root: apt-get install --no-install-recommends $*"
  fi
  apt update || note "apt-get update failed; trying with the lists there are"
  apt install -y --no-install-recommends "$@" ||
    fail "apt-get could not install: $* (its last lines are above)"
}

# ensure_packages PURPOSE...: installs what is missing for these purposes;
# silent when nothing is.
ensure_packages() {
  local purpose wanted=() missing=()
  command -v apt-get >/dev/null || fail "this script installs Debian packages," \
    "and there is no apt-get here; see the lists in deploy/local/common.sh"
  for purpose in "$@"; do
    [[ $purpose == promtool ]] && continue
    read -ra purpose <<<"$(packages_for "$purpose")"
    wanted+=("${purpose[@]}")
  done
  if ((${#wanted[@]})); then
    mapfile -t missing < <(missing_packages "${wanted[@]}")
  fi
  if ((${#missing[@]})); then
    say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
    apt_install "${missing[@]}"
  fi
  if [[ " $* " == *" promtool "* ]]; then
    ensure_promtool
  fi
}

# has_program NAME FOLDER: on the PATH or in the folder.
has_program() { command -v "$1" >/dev/null || [[ -x $2/$1 ]]; }

# ensure_promtool: Prometheus' checker and Prometheus itself, taken out of their
# package without installing it, because the package would start a server.
ensure_promtool() {
  local bin=$repository_root/build/tools/bin folder
  if has_program promtool "$bin" && has_program prometheus "$bin"; then
    return
  fi
  say "Fetching promtool and prometheus out of the Debian package prometheus"
  folder=$(mktemp -d)
  chmod 755 "$folder"  # apt's own user must be able to write the file there.
  (
    cd "$folder" || exit
    # The lists are there when something was just installed, else not always.
    apt-get download -qq prometheus >/dev/null 2>&1 ||
      { apt update && apt-get download -qq prometheus >/dev/null 2>&1; } ||
      fail "apt-get download prometheus failed"
    dpkg-deb --extract prometheus_*.deb .
  )
  mkdir -p "$bin"
  cp "$folder/usr/bin/promtool" "$folder/usr/bin/prometheus" "$bin/"
  rm -rf "$folder"
}

# configure PRESET [CMAKE ARGUMENT...]: only when there is something to configure. Ninja notices
# changed CMakeLists.txt by itself, but not changed presets.
configure() {
  local preset=$1
  local folder=$repository_root/build/$preset log
  shift
  if [[ -f $folder/build.ninja && ! $repository_root/CMakePresets.json -nt $folder/build.ninja ]]; then
    return
  fi
  if command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
  fi
  say "Configuring the $preset preset"
  log=$(mktemp)
  if ! (cd "$repository_root" && cmake --preset "$preset" "$@") >"$log" 2>&1; then
    { sed -n '/^CMake Error/,$p' "$log" | grep . || tail -n 20 "$log"; } >&2
    rm -f "$log"
    fail "cmake --preset $preset failed (its errors are above)"
  fi
  rm -f "$log"
  touch "$folder/build.ninja"  # CMake leaves it alone when nothing changed.
}

# build PRESET TARGET...: on a terminal Ninja's one moving line, else a line
# per tenth of the way. Compiler messages always come through.
build() {
  local preset=$1 started=$SECONDS
  shift
  local command=(cmake --build "$repository_root/build/$preset" --target "$@")
  # Another checkout of the same sources compiles nothing again.
  export CCACHE_BASEDIR=$repository_root CCACHE_NOHASHDIR=1
  say "Building the $preset preset: $*"
  if [[ -t 1 ]]; then
    NINJA_STATUS='  [%f/%t] ' "${command[@]}" || fail "the build failed; the errors are above"
  else
    NINJA_STATUS='[%f/%t] ' "${command[@]}" 2>&1 | build_progress ||
      fail "the build failed; the errors are above"
  fi
  note "built in $((SECONDS - started)) s"
}

build_progress() {
  awk '
    /^(ninja: (no work to do|Entering directory)|-- )/ { next }
    match($0, /^\[[0-9]+\/[0-9]+\]/) {
      split(substr($0, 2, RLENGTH - 2), count, "/")
      tenth = int(10 * count[1] / count[2])
      if (tenth != last) { printf "  %d of %d\n", count[1], count[2]; fflush() }
      last = tenth
      next
    }
    { print; fflush() }'
}
