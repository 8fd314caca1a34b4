"""Disks: full, read-only, damaged, foreign. Contenders without a disk have nothing to fear here."""

from __future__ import annotations

from typing import Final

from ..case import BATCH, Case, Disk, Outrage, Rules  # noqa: TID252
from ..network.schedule import Mode, down  # noqa: TID252

_SPEAKS: Final = Rules(is_silent=False)
_STATES: Final = (
    Disk.FULL,
    Disk.READ_ONLY,
    Disk.FILE_IN_PLACE,
    Disk.GARBAGE,
    Disk.FOREIGN,
    Disk.WRITABLE_BY_ALL,
    Disk.SYMLINK,
    Disk.NO_INODES,
)
_UNUSABLE: Final = frozenset(_STATES) - {Disk.GARBAGE}
_NEEDS_ROOT: Final = frozenset({Disk.FOREIGN, Disk.SYMLINK})


def _rules(disk: Disk) -> Rules:
    """Without a disk the process keeps what it can in memory; its ledger ends with it."""
    return Rules(is_silent=disk not in _UNUSABLE, has_ledger=disk not in _UNUSABLE)


CASES: Final = (
    *(
        Case(
            f"spool directory: {disk}",
            "disk",
            settings={"seconds": 1.5},
            disk=disk,
            needs=("root",) if disk in _NEEDS_ROOT else (),
            rules=_rules(disk),
            is_quick=disk in (Disk.FULL, Disk.GARBAGE),
        )
        for disk in _STATES
    ),
    Case(
        "the disk fills and is freed, nobody listens meanwhile",
        "disk",
        settings={"seconds": 3.0},
        disk=Disk.SMALL,
        link=down(Mode.REFUSE, 2.0),
        outrage=Outrage.FILL_DISK,
        rules=_SPEAKS,
    ),
    Case(
        "outage fills a small disk",
        "disk",
        "burst",
        {"count": 60_000},
        disk=Disk.SMALL,
        link=down(Mode.REFUSE),
        patience_s=12.0,
        rules=Rules(lost=60_000, judges=("traces",), is_silent=False),
        only=("ours",),
        why="what the bound of the disk costs is lost, and counted",
    ),
    Case(
        "bound of the spool reached in an outage",
        "disk",
        "burst",
        {"count": 60_000},
        link=down(Mode.REFUSE),
        environment={"TICKSPAN_SPOOL_MAX_BYTES": str(10 * 2**20)},
        patience_s=12.0,
        rules=Rules(lost=60_000, judges=("traces",), is_silent=False),
        only=("ours",),
        why="the oldest are lost, and counted",
    ),
    Case(
        "limit of file size",
        "disk",
        "several",
        {"before_file_size": 2**20},
        rules=Rules(is_silent=False, has_ledger=False),
        is_quick=True,
    ),
    Case(
        "the directory is removed under the process",
        "disk",
        settings={"seconds": 2.5},
        outrage=Outrage.REMOVE_SPOOL,
        rules=Rules(lost=240, doubled=BATCH, is_silent=False, has_ledger=False, may_wait=True),
        why="what was in it and not delivered yet is gone with it",
    ),
    Case("umask 0", "disk", "several", {"before_umask": True}),
)
