"""Builds the package; pyproject.toml has its facts.

The one generated file is attnserve/contract.binpb, the contract of proto/ as
descriptors. The protoc is grpcio-tools' or else the system's (Debian:
protobuf-compiler).
"""

import pathlib
import shutil
import subprocess
import sys

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = pathlib.Path(__file__).resolve().parent
# In an sdist the contract lies beside this file.
PROTO = HERE / "proto" if (HERE / "proto").is_dir() else HERE.parents[1] / "proto"
FILES = ("attn/v1/attention.proto", "attn/v1/session.proto", "attn/v1/layer.proto", "google/rpc/status.proto",
         "google/rpc/error_details.proto", "grpc/health/v1/health.proto")


def generate(target: pathlib.Path) -> None:
    """Writes the descriptors to `target`."""
    try:
        import grpc_tools  # noqa: F401  pylint: disable=unused-import
        protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    except ImportError:
        protoc = ["protoc"]
    subprocess.run([*protoc, f"-I{PROTO}", "--include_imports", f"--descriptor_set_out={target.absolute()}", *FILES],
                   check=True, cwd=PROTO)


class BuildWithContract(build_py):
    def run(self) -> None:
        super().run()
        root = HERE if self.editable_mode else pathlib.Path(self.build_lib)
        generate(root / "attnserve" / "contract.binpb")


class SdistWithProto(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        for path in PROTO.rglob("*.proto"):
            target = pathlib.Path(base_dir, "proto", path.relative_to(PROTO))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


setup(cmdclass={"build_py": BuildWithContract, "sdist": SdistWithProto})
