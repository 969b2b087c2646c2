"""The bill of materials in an image: SPDX 2.3, and complete."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re

PATH = "usr/share/doc/attnserve/sbom.spdx.json"
DOCUMENT = ("spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo",
            "packages", "files", "relationships")
PACKAGE = ("SPDXID", "name", "versionInfo", "downloadLocation", "filesAnalyzed", "licenseConcluded",
           "licenseDeclared", "copyrightText")
FILE = ("SPDXID", "fileName", "checksums", "licenseConcluded", "copyrightText")


def problems_of(root: pathlib.Path, program: str, version: str) -> list[str]:
    """What is wrong with the document in this root file system."""
    try:
        document = json.loads((root / PATH).read_text())
    except (OSError, ValueError) as error:
        return [f"{program}: /{PATH}: {error}"]
    problems = shape_problems(document)
    if not problems:
        problems = file_problems(root, document) + package_problems(root, program, version, document)
    print(f"{program}: the bill of materials lists {len(document['packages'])} packages, "
          f"{len(document['files'])} files")
    return [f"{program}: /{PATH}: {problem}" for problem in problems]


def shape_problems(document: dict) -> list[str]:
    problems = [f"no {name}" for name in DOCUMENT if not document.get(name)]
    if problems:
        return problems
    if (document["spdxVersion"], document["dataLicense"], document["SPDXID"]) != \
            ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"):
        problems.append("not the head of an SPDX 2.3 document")
    for element, names in [(e, PACKAGE) for e in document["packages"]] + [(e, FILE) for e in document["files"]]:
        problems += [f"{element.get('name') or element.get('fileName')}: no {name}"
                     for name in names if name not in element]
    ids = [element["SPDXID"] for element in document["packages"] + document["files"]]
    problems += [f"{name} stands for two things" for name in {i for i in ids if ids.count(i) > 1}]
    problems += [f"{name} is no SPDX id" for name in ids if not re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", name)]
    for relationship in document["relationships"]:
        ends = {relationship["spdxElementId"], relationship["relatedSpdxElement"]}
        problems += [f"a relationship of {end}, which is not there"
                     for end in ends - set(ids) - {"SPDXRef-DOCUMENT"}]
    return problems


def libraries(root: pathlib.Path) -> set[str]:
    """Every shared library and program in the image, as the document names them."""
    return {f"./{path.relative_to(root)}" for path in root.rglob("*")
            if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF"}


def file_problems(root: pathlib.Path, document: dict) -> list[str]:
    problems, listed = [], set()
    for file in document["files"]:
        path = root / file["fileName"]
        if not path.is_file():
            problems.append(f"{file['fileName']} is not in the image")
            continue
        # /lib is a link to /usr/lib.
        listed.add(f"./{path.resolve().relative_to(root.resolve())}")
        sums = {entry["algorithm"]: entry["checksumValue"] for entry in file["checksums"]}
        content = path.read_bytes()
        if sums != {"SHA1": hashlib.sha1(content).hexdigest(), "SHA256": hashlib.sha256(content).hexdigest()}:
            problems.append(f"{file['fileName']} has other checksums")
    owned = {r["spdxElementId"] for r in document["relationships"]
             if r["relationshipType"] in ("GENERATED_FROM", "EXPANDED_FROM_ARCHIVE")}
    problems += [f"{file['fileName']} is of no package" for file in document["files"] if file["SPDXID"] not in owned]
    return problems + [f"{path} is not listed" for path in sorted(libraries(root) - listed)]


def package_problems(root: pathlib.Path, program: str, version: str, document: dict) -> list[str]:
    versions = {package["name"]: package["versionInfo"] for package in document["packages"]}
    problems = []
    if versions.pop(program, None) != version:
        problems.append(f"does not say that {program} is {version}")
    for record in (root / "var/lib/dpkg/status.d").iterdir():
        found = re.search(r"^Version: (\S+)$", record.read_text(), re.MULTILINE)
        if versions.pop(record.name, None) != found.group(1):
            problems.append(f"{record.name} {found.group(1)} is not listed")
    return problems + [f"{name} is not in var/lib/dpkg/status.d" for name in versions]
