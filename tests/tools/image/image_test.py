#!/usr/bin/env python3
"""Builds the container image for real and uses it.

  image_test.py BUILD_FOLDER

Builds the Dockerfile with buildah on a Debian 13 base made by debootstrap, then
checks the image's facts (size, user, ports, stop signal, health check) and runs
its server as a container would: its own root file system, read-only, as the
image's user, with the image's environment and no other. The server must get
healthy, answer river_bank through attnctl as expected.json says, and leave with 0 on SIGTERM.

There is no container engine here that could start a container, so the run is
made of its parts: a mount namespace, a read-only bind mount and chroot.
Everything is kept under BUILD_FOLDER/tools/image; nothing is built again while
the sources, the Dockerfile and the base are the same.
"""

import fnmatch
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

# The module beside this folder.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import repository
import river_bank

MAX_SIZE_BYTES = 150_000_000
BASE_IMAGE, IMAGE = "localhost/debian:trixie-slim", "localhost/attnserve:test"
HEALTHY_WITHIN_SECONDS = 30
# The host's network is shared here: other ports, on loopback.
GRPC_ADDRESS, HTTP_ADDRESS = repository.free_address(), repository.free_address()
# What is inside the image, by .dockerignore; tests/ also holds this script.
CONTEXT = ("CMakeLists.txt", "CMakePresets.json", "Dockerfile", ".dockerignore",
           "LICENSE", "core/*", "server/*", "proto/*", "deploy/container/*")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def run(*command, **options):
    """The command's output; its last words and an end where it fails."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode:
        print(done.stdout[-6000:])
        sys.exit(f"failed with {done.returncode}: {' '.join(map(str, command[:6]))} ...")
    return done.stdout


class Buildah:
    """buildah with a store of its own, so that nothing else is touched."""

    def __init__(self, folder):
        self.tool = repository.require("buildah")
        self.store = [f"--root={folder}/store", f"--runroot={folder}/run", "--storage-driver=vfs"]
        (folder / "tmp").mkdir(exist_ok=True)
        # Cache mounts (packages, ccache) live under TMPDIR.
        self.environment = {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(folder / "tmp")}

    def __call__(self, verb, *arguments):
        return run(self.tool, *self.store, verb, *arguments, env=self.environment).strip()

    def has(self, image):
        return bool(self("images", "--quiet", "--filter", f"reference={image}"))


def base_archive(folder):
    """Made once a machine, not once a build folder: it depends on nothing here."""
    archive = folder / "trixie.tar"
    if not archive.exists():
        repository.require("debootstrap")
        print("making the Debian 13 base with debootstrap", flush=True)
        run(str(pathlib.Path(__file__).with_name("base")), str(archive))
    return archive


def make_base(buildah, folder):
    if buildah.has(BASE_IMAGE):
        return
    archive = base_archive(folder)
    container = buildah("from", "scratch").splitlines()[-1]
    buildah("add", "--quiet", container, str(archive), "/")
    buildah("config", "--cmd", "bash", container)
    buildah("commit", "--quiet", "--rm", container, BASE_IMAGE)


def context_key(stamps):
    paths = [path for path in repository.files()
             if any(fnmatch.fnmatch(path, pattern) for pattern in CONTEXT)]
    return stamps.key(" ".join(paths), *(repository.ROOT / path for path in paths))


def build_image(buildah, folder):
    """Builds where anything that goes into the image changed since."""
    stamps = repository.Stamps(folder / "stamps")
    key = context_key(stamps)
    if stamps.has(key) and buildah.has(IMAGE):
        print("the image is up to date")
        return
    print("building the image", flush=True)
    started = time.monotonic()
    # The docker format keeps HEALTHCHECK, which the OCI format does not know.
    words = buildah("bud", "--format=docker", "--layers=false", f"--build-arg=BASE={BASE_IMAGE}",
                    f"--tag={IMAGE}", str(repository.ROOT))
    (folder / "build.log").write_text(words)
    print(f"built in {time.monotonic() - started:.0f} s")
    for old in stamps.folder.iterdir():
        old.unlink()
    stamps.add(key)
    buildah("rmi", "--prune", "--force")


def configuration(buildah):
    return json.loads(buildah("inspect", "--type=image", IMAGE))["Docker"]["config"]


def check_configuration(config):
    expected = {
        "User": "65532:65532",
        "Entrypoint": ["/usr/bin/attnserve"],
        "StopSignal": "SIGTERM",
        "ExposedPorts": {"8001/tcp": {}, "8002/tcp": {}},
    }
    problems = [f"{name} is {config.get(name)}, not {value}"
                for name, value in expected.items() if config.get(name) != value]
    if config.get("Healthcheck", {}).get("Test") != ["CMD", "/usr/bin/attnserve", "healthcheck"]:
        problems.append(f"Healthcheck is {config.get('Healthcheck')}")
    for label in ("title", "description", "licenses", "version", "revision"):
        if not config.get("Labels", {}).get(f"org.opencontainers.image.{label}"):
            problems.append(f"no label org.opencontainers.image.{label}")
    return problems


def check_files(root):
    """Size, and nothing in it that a service has no need of."""
    sizes = [path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    print(f"the image's files: {sum(sizes) / 1e6:.1f} MB in {len(sizes)} files")
    problems = []
    if sum(sizes) > MAX_SIZE_BYTES:
        problems.append(f"the image holds {sum(sizes)} bytes; the limit is {MAX_SIZE_BYTES}")
    for tool in ("bin/sh", "usr/bin/sh", "usr/bin/dpkg", "usr/bin/apt"):
        if (root / tool).exists():
            problems.append(f"the image has {tool}")
    if not list((root / "var/lib/dpkg/status.d").iterdir()):
        problems.append("var/lib/dpkg/status.d names no package")
    return problems


def in_container(root, config, *arguments):
    """The command that runs the image's entry point as a container would."""
    script = ('mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && '
              'mount -o remount,bind,ro "$1" && root=$1 user=$2 && shift 2 && '
              'exec env -i "${@:2:$1}" "$(command -v chroot)" --userspec="$user" "$root" "${@:2+$1}"')
    environment = [*config["Env"], f"ATTNSERVE_GRPC_ADDRESS={GRPC_ADDRESS}",
                   f"ATTNSERVE_HTTP_ADDRESS={HTTP_ADDRESS}"]
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", script, "container",
            str(root), config["User"], str(len(environment)), *environment,
            *config["Entrypoint"], *arguments]


def wait_until_healthy(root, config, server):
    deadline = time.monotonic() + HEALTHY_WITHIN_SECONDS
    health = config["Healthcheck"]["Test"][2:]  # After CMD and the binary.
    while subprocess.run(in_container(root, config, *health), capture_output=True).returncode:
        if server.poll() is not None:
            return "the server in the image ended"
        if time.monotonic() > deadline:
            return f"the image's health check fails after {HEALTHY_WITHIN_SECONDS} s"
        time.sleep(0.2)
    return None


def use(root, config, attnctl, log):
    with log.open("w") as words:
        server = subprocess.Popen(in_container(root, config, "--drain-delay", "0s"),
                                  stdout=words, stderr=subprocess.STDOUT)
    try:
        problem = wait_until_healthy(root, config, server)
        problems = [problem] if problem else river_bank.problems_of(attnctl, GRPC_ADDRESS)
    finally:
        stop(server)
    if server.returncode != 0:
        problems.append(f"the server's exit code is {server.returncode}")
    if problems:
        print(log.read_text()[-4000:])
    return problems


def stop(server):
    """SIGTERM to the server itself, which is the child of unshare."""
    children = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children")
    for child in children.read_text().split() if children.exists() else []:
        os.kill(int(child), signal.SIGTERM)
    try:
        server.wait(timeout=60)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    attnctl = build / "client/cpp/attnctl"
    if os.geteuid() != 0:
        skip("buildah needs root here")
    if not attnctl.exists():
        skip(f"{attnctl} is not built")
    folder = build / "tools/image"
    folder.mkdir(parents=True, exist_ok=True)
    buildah = Buildah(folder)
    make_base(buildah, folder)
    build_image(buildah, folder)
    config = configuration(buildah)
    problems = check_configuration(config)
    container = buildah("from", IMAGE).splitlines()[-1]
    try:
        root = pathlib.Path(buildah("mount", container))
        problems += check_files(root)
        problems += use(root, config, attnctl, folder / "server.log")
    finally:
        buildah("rm", container)
    return repository.report("image", problems, 1)


if __name__ == "__main__":
    sys.exit(main())
