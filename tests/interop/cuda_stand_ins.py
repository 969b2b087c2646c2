#!/usr/bin/env python3
"""Makes empty libraries in place of the CUDA ones that torch's wheel links.

  cuda_stand_ins.py FOLDER_OF_TORCH_LIBRARIES

The wheel of the default index is a CUDA build, and its loader wants every
library that it names, 2.5 GB of them, though on a CPU none of their functions is
called. An empty library of the same name is enough when symbols are looked up
lazily (peers/torch_loader.py). Where all libraries are found, for instance with
a CPU build, nothing is made.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# Data, which is looked up when libtorch_nvshmem is loaded, with its version.
SOURCE = "char nvshmem_selected_device_transport[64];\n"
VERSIONS = {"libnvshmem_host": "NVSHMEM { global: *; };\n"}


def missing(folder: pathlib.Path) -> list[str]:
    """Libraries that torch's own name and the loader does not find."""
    words = [subprocess.run(["ldd", str(library)], capture_output=True, text=True, check=False).stdout
             for library in sorted(folder.glob("lib*.so"))]
    # The driver's libcuda is looked for at run time alone.
    return sorted(set(re.findall(r"(\S+) => not found", "".join(words))) - {"libcuda.so.1"})


def make(folder: pathlib.Path, name: str) -> None:
    version = next((text for start, text in VERSIONS.items() if name.startswith(start)), None)
    with tempfile.TemporaryDirectory() as temporary:
        source, script = pathlib.Path(temporary, "stand_in.c"), pathlib.Path(temporary, "versions")
        source.write_text(SOURCE if version else "")
        command = ["cc", "-shared", "-nostdlib", f"-Wl,-soname,{name}", str(source), "-o", str(folder / name)]
        if version:
            script.write_text(version)
            command.append(f"-Wl,--version-script={script}")
        subprocess.run(command, check=True)


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    names = missing(folder)
    for name in names:
        make(folder, name)
    print(f"{len(names)} stand-ins in {folder}: {' '.join(names)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
