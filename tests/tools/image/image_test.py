#!/usr/bin/env python3
"""Builds the container images for real and uses them.

  image_test.py BUILD_FOLDER [--client]

Builds the Dockerfile with buildah on a Debian 13 base made by debootstrap, then
checks the image's facts (size, user, ports, stop signal, health check, labels), its
bill of materials and the protections of its binary, and runs it as a container would:
its own root file system, read-only, without a capability, as the image's user, with
the image's environment and no other. The server must get healthy, answer river_bank
through attnctl as expected.json says, and leave with 0 on SIGTERM.

With --client, which compiles another 80 files, all this for the image of attnctl, too,
whose bench must load the server; only where `tests/run interop` was asked for.

There is no container engine here that could start a container, so the run is
made of its parts: a mount namespace, a read-only bind mount, setpriv and chroot.
Everything is kept under BUILD_FOLDER/tools/image; nothing is built again while
the sources, the Dockerfile and the base are the same.
"""

import fnmatch
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

# The module beside this folder.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import container
import hardening
import repository
import river_bank
import sbom

MAX_SIZE_BYTES = 150_000_000
BASE_IMAGE = "localhost/debian:trixie-slim"
# The Dockerfile's targets: their images and their programs.
IMAGES = {"server": "localhost/attnserve:test", "client": "localhost/attnctl:test"}
PROGRAMS = {"server": "attnserve", "client": "attnctl"}
LABELS = ("title", "description", "licenses", "version", "revision", "source")
HEALTHY_WITHIN_SECONDS = 30
# The host's network is shared here: other ports, on loopback.
GRPC_ADDRESS, HTTP_ADDRESS = repository.free_address(), repository.free_address()
# What goes into each image, by the Dockerfile's COPYs; tests/ also holds this script.
CONTEXT = ("CMakeLists.txt", "CMakePresets.json", "Dockerfile", ".dockerignore",
           "LICENSE", "core/*", "proto/*", "deploy/container/*")


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
    name = buildah("from", "scratch").splitlines()[-1]
    buildah("add", "--quiet", name, str(archive), "/")
    buildah("config", "--cmd", "bash", name)
    buildah("commit", "--quiet", "--rm", name, BASE_IMAGE)


def context_key(stamps, target):
    paths = [path for path in repository.files()
             if any(fnmatch.fnmatch(path, pattern) for pattern in (*CONTEXT, f"{target}/*"))]
    return stamps.key(" ".join(paths), *(repository.ROOT / path for path in paths))


def build_image(buildah, target):
    # The docker format keeps HEALTHCHECK, which the OCI format does not know.
    return buildah("bud", "--format=docker", "--layers=false", f"--build-arg=BASE={BASE_IMAGE}",
                   "--build-arg=REVISION=of-the-test", "--build-arg=SOURCE=here",
                   f"--target={target}", f"--tag={IMAGES[target]}", str(repository.ROOT))


def make_image(buildah, folder, target):
    """Builds where anything that goes into the image changed since."""
    stamps = repository.Stamps(folder / f"stamps-{target}")
    key = context_key(stamps, target)
    if stamps.has(key) and buildah.has(IMAGES[target]):
        print(f"the image of the {target} is up to date")
        return
    print(f"building the image of the {target}", flush=True)
    started = time.monotonic()
    (folder / f"build-{target}.log").write_text(build_image(buildah, target))
    print(f"built in {time.monotonic() - started:.0f} s", flush=True)
    for old in stamps.folder.iterdir():
        old.unlink()
    stamps.add(key)
    buildah("rmi", "--prune", "--force")


def configuration(buildah, target):
    return json.loads(buildah("inspect", "--type=image", IMAGES[target]))["Docker"]["config"]


def project_version():
    found = re.search(r"project\(attnserve VERSION (\S+)", (repository.ROOT / "CMakeLists.txt").read_text())
    return found.group(1)


def check_configuration(target, config):
    expected = {
        "User": "65532:65532",
        "Entrypoint": [f"/usr/bin/{PROGRAMS[target]}"],
        "StopSignal": "SIGTERM",
    }
    if target == "server":
        expected["ExposedPorts"] = {"8001/tcp": {}, "8002/tcp": {}}
    problems = [f"{target}: {name} is {config.get(name)}, not {value}"
                for name, value in expected.items() if config.get(name) != value]
    if target == "server" and config.get("Healthcheck", {}).get("Test") != \
            ["CMD", "/usr/bin/attnserve", "healthcheck"]:
        problems.append(f"Healthcheck is {config.get('Healthcheck')}")
    return problems + check_labels(target, config.get("Labels", {}))


def check_labels(target, labels):
    values = {name: labels.get(f"org.opencontainers.image.{name}") for name in LABELS}
    problems = [f"{target}: no label org.opencontainers.image.{name}"
                for name, value in values.items() if not value]
    expected = {"title": PROGRAMS[target], "version": project_version(), "revision": "of-the-test", "source": "here"}
    return problems + [f"{target}: label {name} is {values[name]}, not {value}"
                       for name, value in expected.items() if values[name] != value]


def check_files(target, root):
    """Size, and nothing in it that a service has no need of."""
    sizes = [path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    print(f"{target}: the image's files: {sum(sizes) / 1e6:.1f} MB in {len(sizes)} files")
    problems = []
    if sum(sizes) > MAX_SIZE_BYTES:
        problems.append(f"{target}: the image holds {sum(sizes)} bytes; the limit is {MAX_SIZE_BYTES}")
    for tool in ("bin/sh", "usr/bin/sh", "usr/bin/dpkg", "usr/bin/apt"):
        if (root / tool).exists():
            problems.append(f"{target}: the image has {tool}")
    if not list((root / "var/lib/dpkg/status.d").iterdir()):
        problems.append(f"{target}: var/lib/dpkg/status.d names no package")
    return problems


def check_contents(target, root, folder):
    program = PROGRAMS[target]
    # For tests/deploy, which has a validator.
    shutil.copy(root / sbom.PATH, folder / f"{program}.spdx.json")
    problems = check_files(target, root)
    problems += sbom.problems_of(root, program, project_version())
    problems += hardening.problems_of(str(root / "usr/bin" / program))[0]
    return problems


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


def in_container(root, config, *arguments):
    addresses = [f"ATTNSERVE_GRPC_ADDRESS={GRPC_ADDRESS}", f"ATTNSERVE_HTTP_ADDRESS={HTTP_ADDRESS}",
                 f"ATTNCTL_ADDRESS={GRPC_ADDRESS}"]
    return container.command(root, config, addresses, arguments)


def short_load(root, config):
    """What compose.yaml's load does, in the client's image."""
    run = subprocess.run(in_container(root, config, "bench", "--requests", "20", "--verify", "2"),
                         text=True, capture_output=True)
    return [] if run.returncode == 0 else [f"the client's image: {run.stdout}{run.stderr}"]


def use(roots, configs, attnctl, log):
    with log.open("w") as words:
        server = subprocess.Popen(in_container(roots["server"], configs["server"], "--drain-delay", "0s"),
                                  stdout=words, stderr=subprocess.STDOUT)
    try:
        problem = wait_until_healthy(roots["server"], configs["server"], server)
        problems = [problem] if problem else river_bank.problems_of(attnctl, GRPC_ADDRESS)
        if not problem:
            problems += container.problems_of(server.pid, configs["server"]["User"])
            if "client" in roots:
                problems += short_load(roots["client"], configs["client"])
    finally:
        stop(server)
    if server.returncode != 0:
        problems.append(f"the server's exit code is {server.returncode}")
    if problems:
        print(log.read_text()[-4000:])
    return problems


def stop(server):
    """SIGTERM to the server itself, which is the child of unshare."""
    for child in container.children(server.pid):
        os.kill(child, signal.SIGTERM)
    try:
        server.wait(timeout=60)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def check(buildah, targets, attnctl, folder):
    problems, configs, roots, containers = [], {}, {}, []
    try:
        for target in targets:
            configs[target] = configuration(buildah, target)
            containers.append(buildah("from", IMAGES[target]).splitlines()[-1])
            roots[target] = pathlib.Path(buildah("mount", containers[-1]))
            problems += check_configuration(target, configs[target]) + check_contents(target, roots[target], folder)
        return problems + use(roots, configs, attnctl, folder / "server.log")
    finally:
        for name in containers:
            buildah("rm", name)


def wanted_targets():
    if "--client" not in sys.argv:
        return ("server",)
    if not (repository.ROOT / "build/deploy-tools/stamp").exists():
        skip("the client's image is built where `tests/run interop` was asked for")
    return ("server", "client")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    attnctl = build / "client/cpp/attnctl"
    targets = wanted_targets()
    if os.geteuid() != 0:
        skip("buildah needs root here")
    if not attnctl.exists():
        skip(f"{attnctl} is not built")
    folder = build / "tools/image"
    folder.mkdir(parents=True, exist_ok=True)
    buildah = Buildah(folder)
    make_base(buildah, folder)
    for target in targets:
        make_image(buildah, folder, target)
    return repository.report("image", check(buildah, targets, attnctl, folder), len(targets))


if __name__ == "__main__":
    sys.exit(main())
