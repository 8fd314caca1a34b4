"""Disks: the directory of a spool in every state; small file systems are tmpfs mounts, as root only."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from .case import Disk

_STRANGER: Final = 12345
_MOUNTED: Final = {
    Disk.SMALL: "size=12m",
    Disk.FULL: "size=256k",
    Disk.READ_ONLY: "size=12m",
    Disk.NO_INODES: "size=12m,nr_inodes=3",
}


@cache
def can_mount() -> bool:
    """Whether this user may mount a tmpfs, tried once."""
    if os.geteuid() != 0:
        return False
    done = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    return done.returncode == 0


def needs_mount(disk: Disk) -> bool:
    """Whether this state is a file system of its own."""
    return disk in _MOUNTED


@contextmanager
def prepared(disk: Disk, folder: Path, draws: random.Random) -> Generator[Path]:
    """The spool's directory in that state, below `folder`."""
    spool = folder / "disk" / "spool"
    with contextlib.ExitStack() as stack:
        spool.parent.mkdir()
        if options := _MOUNTED.get(disk):
            stack.enter_context(_mounted(spool.parent, options))
        _PREPARE.get(disk, _plain)(spool, draws)
        if disk is Disk.READ_ONLY:
            subprocess.run(["mount", "-o", "remount,ro", str(spool.parent)], check=True)
        yield spool


@contextmanager
def _mounted(place: Path, options: str) -> Generator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], check=True)
    try:
        yield
    finally:  # lazily: a helper process may still be at work in it
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(spool: Path) -> Path:
    """Use up what is free there; the file to remove again."""
    path = spool.parent / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def _plain(spool: Path, _draws: random.Random) -> None:
    spool.mkdir(0o700)


def _full(spool: Path, _draws: random.Random) -> None:
    spool.mkdir(0o700)
    fill(spool)


def _file_in_place(spool: Path, _draws: random.Random) -> None:
    spool.write_text("not a directory")


def _garbage(spool: Path, draws: random.Random) -> None:
    """What a disk that has lost its mind might hold."""
    for folder in ("1-1-00000000", f"{os.getpid()}-77-ffffffff", "x" * 200, "99999999-1-deadbeef"):
        inside = spool / "v1" / folder
        inside.mkdir(parents=True, mode=0o700)
        for name in (
            "process.json",
            "page",
            "lock",
            "00000001.seg",
            "00000002.seg",
            "traces-0.ack",
            "00000003.seg.new",
        ):
            (inside / name).write_bytes(draws.randbytes(draws.randrange(5000)))
        (inside / "00000004.seg").mkdir()
        (inside / "00000005.seg").symlink_to("/etc/passwd")
    (spool / "v1" / "totals.json").write_bytes(b"\xff{")
    (spool / "v1" / "dead").mkdir()
    (spool / "v1" / "dead" / "1-traces-x.letter").write_bytes(draws.randbytes(500))
    (spool / "v1" / "agent.lock").write_bytes(draws.randbytes(50))
    (spool / "v2").write_text("a file")


def _foreign(spool: Path, _draws: random.Random) -> None:
    spool.mkdir(0o700)
    os.chown(spool, _STRANGER, _STRANGER)


def _writable_by_all(spool: Path, _draws: random.Random) -> None:
    spool.mkdir()
    spool.chmod(0o777)


def _symlink(spool: Path, draws: random.Random) -> None:
    elsewhere = spool.parent / "elsewhere"
    _foreign(elsewhere, draws)
    spool.symlink_to(elsewhere)


_PREPARE: Final = {
    Disk.FULL: _full,
    Disk.FILE_IN_PLACE: _file_in_place,
    Disk.GARBAGE: _garbage,
    Disk.FOREIGN: _foreign,
    Disk.WRITABLE_BY_ALL: _writable_by_all,
    Disk.SYMLINK: _symlink,
}
