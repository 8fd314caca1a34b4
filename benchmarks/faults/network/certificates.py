"""Certificates: good and bad ones for a server on 127.0.0.1, made for this run by `openssl`."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FAULT_S: Final = 1.5
_WRONG_NAME: Final = "subjectAltName=DNS:elsewhere.example"
_RIGHT_NAME: Final = "subjectAltName=IP:127.0.0.1"
_DAYS: Final = ("-days", "2")
_LONG_AGO: Final = ("-startdate", "20200101000000Z", "-enddate", "20200102000000Z")
_KINDS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "good": ("authority", _RIGHT_NAME, _DAYS),
    "wrong name": ("authority", _WRONG_NAME, _DAYS),
    "wrong authority": ("stranger", _RIGHT_NAME, _DAYS),
    "expired": ("authority", _RIGHT_NAME, _LONG_AGO),
}
_AUTHORITY: Final = """\
[ca]
default_ca = own
[own]
database = index
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
"""


@dataclass(frozen=True, slots=True)
class Certificates:
    """A folder of them."""

    folder: Path

    @property
    def authority(self) -> Path:
        """Whom the workload trusts."""
        return self.folder / "authority.pem"

    def contexts(self, first: str) -> Callable[[float], ssl.SSLContext]:
        """For a server: the bad certificate in the beginning, then the good one."""
        bad, good = self._context(first), self._context("good")
        return lambda elapsed_s: bad if elapsed_s < _FAULT_S else good

    def _context(self, kind: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{kind}.pem", self.folder / "key.pem")
        return context


def make(folder: Path) -> Certificates:
    """Make all of them. Raises OSError or CalledProcessError when `openssl` cannot."""
    (folder / "ca.conf").write_text(_AUTHORITY)
    _openssl(folder, "genrsa", "-out", "key.pem", "2048")
    for name in ("authority", "stranger"):
        subject = ("-subj", f"/CN={name}", "-days", "2", "-out", f"{name}.pem")
        _openssl(folder, "req", "-x509", "-new", "-key", "key.pem", *subject)
    for kind, (issuer, extension, days) in _KINDS.items():
        _openssl(folder, "req", "-new", "-key", "key.pem", "-subj", f"/CN={kind}", "-out", "request.pem")
        (folder / "extension").write_text(extension + "\n")
        (folder / "index").write_text("")
        signed = (
            "-cert",
            f"{issuer}.pem",
            "-keyfile",
            "key.pem",
            "-extfile",
            "extension",
            "-out",
            f"{kind}.pem",
        )
        _openssl(
            folder, "ca", "-batch", "-notext", "-config", "ca.conf", "-in", "request.pem", *signed, *days
        )
    return Certificates(folder)


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
