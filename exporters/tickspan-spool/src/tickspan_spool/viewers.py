"""Viewers: programs of this user that want to see what is recorded here, as they register in the spool.

Each has a file `<spool>/v1/viewers/<name>.json` as long as it lives. Every agent of the spool sends it what
processes record, beside their own destinations: over loopback, and to nobody else.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

from . import identity
from .home import FORMAT_FOLDER, private_folder, write_file

FOLDER: Final = "viewers"
MOST_VIEWERS: Final = 8
"""More than these are not looked at."""
_NAME: Final = re.compile(r"[0-9a-f]{8,64}")
_LONGEST_FILE: Final = 4096
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks on.

    Attributes:
        name: 8 to 64 hexadecimal digits that name what it keeps: whoever comes again under the same name is
            not shown again what it has seen.
        endpoint: base URL of its OTLP/HTTP receiver, on loopback.
        page: where people look at it, without credentials.
        pid: its process, in `pid_namespace`.
        start_time: of that process, in ticks after boot.
        boot_id: of the kernel that counts so.
        pid_namespace: the inode of the namespace; 0 when unknown.
        is_lasting: whether it keeps what it was shown; what one that does not was shown is forgotten with it.
    """

    name: str
    endpoint: str
    page: str = ""
    pid: int = 0
    start_time: int = 0
    boot_id: str = ""
    pid_namespace: int = 0
    is_lasting: bool = True

    @property
    def is_reachable(self) -> bool:
        """Whether its process number means something here: same boot, same pid namespace."""
        return (self.boot_id, self.pid_namespace) == (identity.boot_id().hex(), identity.pid_namespace())

    @property
    def is_alive(self) -> bool:
        """Whether the very process that registered runs; no for one of another boot or namespace."""
        state = identity.process_state(self.pid) if self.is_reachable else None
        return state is not None and state.is_running and state.start_time == self.start_time

    def is_at(self, url: str) -> bool:
        """Whether a URL leads to its receiver: what is sent there anyway need not be shown once more."""
        with suppress(ValueError):
            theirs, ours = urlsplit(url if "://" in url else f"//{url}"), urlsplit(self.endpoint)
            return is_loopback(theirs.hostname or "") and theirs.port == ours.port
        return False


def this_process(name: str, endpoint: str, page: str = "", *, is_lasting: bool = True) -> Viewer:
    """A viewer that this process is."""
    return Viewer(
        name,
        endpoint,
        page,
        os.getpid(),
        identity.own_start_time(),
        identity.boot_id().hex(),
        identity.pid_namespace(),
        is_lasting,
    )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name alone: `localhost`, 127.0.0.0/8 or ::1."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def register(directory: Path | str, viewer: Viewer) -> Path:
    """Have the agents of this spool send to a viewer from now on; the file that says so.

    Raises OSError when the spool cannot be written to, ValueError when the viewer is not what they trust.
    """
    _check(viewer)
    root = Path(directory)
    root.parent.mkdir(parents=True, exist_ok=True)
    for folder in (root, root / FORMAT_FOLDER, root / FORMAT_FOLDER / FOLDER):
        private_folder(folder)
    path = root / FORMAT_FOLDER / FOLDER / f"{viewer.name}.json"
    write_file(path, json.dumps(asdict(viewer)).encode())
    return path


def unregister(directory: Path | str, viewer: Viewer) -> None:
    """Take the file away, unless another process has registered under the name. Never raises."""
    path = Path(directory) / FORMAT_FOLDER / FOLDER / f"{viewer.name}.json"
    with suppress(OSError, ValueError):
        if _read(path) == viewer:
            path.unlink()


def viewers(directory: Path | str) -> list[Viewer]:
    """Those that live, by name; the files of the dead, and what is no such file, are removed."""
    folder = Path(directory) / FORMAT_FOLDER / FOLDER
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are matched before they become paths
    except OSError:
        return []
    found: list[Viewer] = []
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        if dot and suffix == "json" and _NAME.fullmatch(stem):
            viewer = _living(folder / name)
            if viewer is not None and viewer.name == stem and len(found) < MOST_VIEWERS:
                found.append(viewer)
    return found


def _living(path: Path) -> Viewer | None:
    with suppress(OSError):
        try:
            viewer = _read(path)
        except ValueError:
            path.unlink()
            return None
        if viewer.is_alive:
            return viewer
        is_of_another_namespace = viewer.boot_id == identity.boot_id().hex() and not viewer.is_reachable
        if not is_of_another_namespace:
            path.unlink()
    return None


def _read(path: Path) -> Viewer:
    """Raises OSError for a file that cannot be read, ValueError for what `register` has not written."""
    fd = os.open(path, _READ)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise ValueError("expected a file of this user")
        text = os.read(fd, _LONGEST_FILE)
    finally:
        os.close(fd)
    try:
        value: Any = json.loads(text)
    except RecursionError:
        raise ValueError("expected an object, got brackets in brackets") from None
    if not isinstance(value, dict):
        raise ValueError("expected an object")  # noqa: TRY004 - what a file says is a value, not a type
    viewer = _viewer(cast("dict[str, Any]", value))
    _check(viewer)
    return viewer


def _viewer(value: Mapping[str, Any]) -> Viewer:
    default = Viewer("", "")
    known = {name: value.get(name, standing) for name, standing in asdict(default).items()}
    for name, standing in asdict(default).items():
        if type(known[name]) is not type(standing):
            raise ValueError(f"{name}: expected {type(standing).__name__}, got {known[name]!r}")
    return Viewer(**known)


def _check(viewer: Viewer) -> None:
    """Raises ValueError: telemetry is shown on this machine only, whatever a file says."""
    if not _NAME.fullmatch(viewer.name):
        raise ValueError(f"name: expected 8 to 64 hexadecimal digits, got {viewer.name[:80]!r}")
    parts = urlsplit(viewer.endpoint)
    is_plain = parts.scheme == "http" and not parts.path.strip("/") and "@" not in parts.netloc
    if not is_plain or not parts.port or not is_loopback(parts.hostname or ""):
        raise ValueError(f"endpoint: expected http://127.0.0.1:PORT, got {viewer.endpoint[:80]!r}")
