"""Certificates as a test needs them, made by openssl."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as PEM files."""

    certificate: pathlib.Path
    key: pathlib.Path

    def serial(self) -> int:
        return int(_openssl("x509", "-in", self.certificate, "-noout", "-serial").strip().partition("=")[2], 16)


class CertificateAuthority:
    """Signs certificates with a key of its own."""

    def __init__(self, folder: pathlib.Path, name: str) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is missing")
        self._folder = folder
        self._identity = Identity(folder / f"{name}.pem", folder / f"{name}.key")
        _openssl("req", "-x509", *_new_key(self._identity), "-days", "2", "-subj", f"/CN={name}",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    @property
    def certificate(self) -> pathlib.Path:
        return self._identity.certificate

    def sign(self, name: str, common_name: str, alternative_names: str = "", *, serial: int = 1) -> Identity:
        """alternative_names: as openssl writes them ("DNS:localhost,URI:spiffe://a/b"), or none."""
        made = Identity(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        extensions = ["-addext", f"subjectAltName={alternative_names}"] if alternative_names else []
        _openssl("req", "-x509", *_new_key(made), "-days", "2", "-subj", f"/CN={common_name}",
                 "-CA", self._identity.certificate, "-CAkey", self._identity.key,
                 "-set_serial", str(serial), "-addext", "basicConstraints=critical,CA:FALSE", *extensions)
        return made


def _new_key(identity: Identity) -> list[str | pathlib.Path]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", identity.key, "-out", identity.certificate]


def _openssl(*arguments: str | pathlib.Path) -> str:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout
