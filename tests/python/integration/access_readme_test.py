"""deploy/README.md's section on TLS and tokens is right: its commands are run as
they stand, in their order, on free ports."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

from server_fixtures import ROOT, Server


def commands():
    """The indented blocks of the section."""
    section = (ROOT / "deploy/README.md").read_text().partition("## TLS and tokens\n")[2].partition("\n## ")[0]
    return [re.sub("^    ", "", block, flags=re.MULTILINE)
            for block in re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)]


def run(script, folder, **environment):
    ran = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env={**os.environ, **environment},
                         text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_commands_work_as_they_stand(binary, tmp_path):
    attnctl = pathlib.Path(binary).resolve().parents[1] / "client/cpp/attnctl"
    if not attnctl.exists() or shutil.which("curl") is None or shutil.which("openssl") is None:
        pytest.skip("attnctl, curl or openssl is missing")
    certificates, tokens, start, call = commands()
    run(certificates, tmp_path)
    run(tokens, tmp_path)
    program, *flags = shlex.split(start.replace("\\\n", " ").replace("$PWD", str(tmp_path)))
    assert program == "attnserve"
    with Server(binary, *flags) as server:
        grpc_address = server.address()
        http_address = re.search(r"http=(\S+)", "".join(server.log)).group(1)
        printed = run(call.replace("127.0.0.1:8002", http_address), tmp_path, ATTNCTL_ADDRESS=grpc_address,
                      ATTNCTL_HTTP=http_address, PATH=f"{attnctl.parent}:{os.environ['PATH']}")
        assert printed.startswith("no sessions\n")
        assert "\nattn_build_info{" in printed
        assert server.stop() == 0
