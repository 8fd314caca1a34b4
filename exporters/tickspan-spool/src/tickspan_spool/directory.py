"""SpoolDirectory: all processes of a user, what is put aside, and the account of those that are gone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .entries import Signal
from .folder import GONE, ProcessFolder, is_locked
from .home import FORMAT_FOLDER, LOCK, NEW, write_file
from .layout import ALL_SIGNALS, SIGNALS
from .ledger import Ledger, add
from .reasons import Reason

AGE_LIMIT_S: Final = 48 * 3600.0
TOTALS: Final = "totals.json"
_TOTALS_LOCK: Final = "totals.lock"
_NAME: Final = re.compile(r"\d+-\d+-[0-9a-f]{8}")
_BEING_MADE_FOR_S: Final = 60.0
"""A folder that is being made and has no lock yet is left alone this long."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What was given up to keep the spool small.

    Attributes:
        dead_letters: files.
        quarantined: files.
        dropped: items by signal.
    """

    dead_letters: int = 0
    quarantined: int = 0
    dropped: Mapping[Signal, int] | None = None


class SpoolDirectory:
    """The reading side's view of a spool.

    Args:
        directory: the spool.
        clock: monotonic seconds.
    """

    def __init__(self, directory: Path | str, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = Path(directory)
        self.root = self.path / FORMAT_FOLDER
        self.quarantined = 0
        self._clock = clock
        self._folders: dict[str, ProcessFolder] = {}
        self._seen_s: dict[Path, float] = {}

    def __repr__(self) -> str:
        return f"<SpoolDirectory {self.path}, {len(self._folders)} processes, {self.quarantined} quarantined>"

    def folders(self) -> list[ProcessFolder]:
        """Of all processes, each the same object while it is there. Clears what deaths left half made."""
        names = self._names()
        for name in set(self._folders) - set(names):
            self._folders.pop(name).release()
        for name in names:
            if _NAME.fullmatch(name) and name not in self._folders:
                self._folders[name] = ProcessFolder(self.root / name, self.quarantine, self._clock)
            elif name.endswith((NEW, GONE)):
                self._clear(self.root / name)
        return [self._folders[name] for name in names if name in self._folders]

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.root))  # noqa: PTH208 - names are wanted
        except OSError:
            return []

    def _clear(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            if not path.is_dir():
                return
            is_old = time.time() > path.stat().st_mtime + _BEING_MADE_FOR_S
            is_abandoned = (path / LOCK).exists() or is_old
            if path.name.endswith(GONE) or (is_abandoned and not is_locked(path / LOCK)):
                shutil.rmtree(path, ignore_errors=True)

    # Putting aside ---------------------------------------------------------------------------------------

    @property
    def quarantine_folder(self) -> Path:
        """Where files go that are not what they should be."""
        return self.root / "quarantine"

    @property
    def dead_letter_folder(self) -> Path:
        """Where batches go that a destination refused for good."""
        return self.root / "dead"

    def quarantine(self, path: Path) -> None:
        """Put a file aside for people to look at; a file that cannot be moved stays."""
        with contextlib.suppress(OSError):
            self.quarantine_folder.mkdir(mode=0o700, exist_ok=True)
            path.rename(self.quarantine_folder / f"{time.time_ns()}-{path.parent.name}-{path.name}")
            self.quarantined += 1

    # Bounds ----------------------------------------------------------------------------------------------

    def size_bytes(self) -> int:
        """What the spool takes on the disk."""
        return sum(_allocated(path) for path in self.root.rglob("*"))

    def enforce_bound(self, max_bytes: int) -> Bound:
        """Make room: dead letters go first, then the quarantine, then the oldest segment of any process.

        A folder that somebody else reads is theirs to shorten.
        """
        excess = self.size_bytes() - max_bytes
        letters, excess = _remove_oldest(self.dead_letter_folder, excess)
        quarantined, excess = _remove_oldest(self.quarantine_folder, excess)
        lost: dict[Signal, int] = dict.fromkeys(ALL_SIGNALS, 0)
        while excess > 0:
            oldest = self._oldest_droppable()
            if oldest is None:
                break
            excess -= _allocated(oldest.segment_path(oldest.oldest_segment() or 0))
            self._lose_oldest(oldest, Reason.DISK_BOUND, lost)
        return Bound(letters, quarantined, {signal: items for signal, items in lost.items() if items})

    def expire(self, age_limit_s: float = AGE_LIMIT_S) -> dict[Signal, int]:
        """Lose segments that this object has known for longer than the limit; items lost, by signal."""
        now_s, lost = self._clock(), dict.fromkeys(ALL_SIGNALS, 0)
        known = {
            path: folder for folder in self.folders() for path in map(folder.segment_path, folder.segments())
        }
        self._seen_s = {path: self._seen_s.get(path, now_s) for path in known}
        for path, folder in sorted(known.items()):
            is_oldest = path == folder.segment_path(folder.oldest_segment() or 0)
            if is_oldest and now_s - self._seen_s[path] > age_limit_s:
                self._lose_oldest(folder, Reason.EXPIRED, lost)
        return {signal: items for signal, items in lost.items() if items}

    def _oldest_droppable(self) -> ProcessFolder | None:
        ages: list[tuple[float, int]] = []
        folders = self.folders()
        for index, folder in enumerate(folders):
            number = folder.oldest_segment()
            with contextlib.suppress(OSError):
                if number is not None and self._may_shorten(folder):
                    ages.append((folder.segment_path(number).stat().st_mtime, index))
        return folders[min(ages)[1]] if ages else None

    def _may_shorten(self, folder: ProcessFolder) -> bool:
        if folder.is_claimed:
            return True
        if not folder.claim():
            return False
        folder.release()
        return True

    def _lose_oldest(self, folder: ProcessFolder, reason: Reason, lost: dict[Signal, int]) -> None:
        was_claimed = folder.is_claimed
        if not folder.claim():
            return
        try:
            number = folder.oldest_segment()
            if number is not None:
                for signal, items in folder.drop_segment(number, reason).items():
                    lost[signal] += items
        finally:
            if not was_claimed:
                folder.release()

    # The account of the gone -----------------------------------------------------------------------------

    def fold(self, folder: ProcessFolder) -> None:
        """Add the account of a process that is gone to the totals, once, and remove its folder."""
        with self._totals_locked():
            totals, folded = self._read_totals()
            if folder.path.name not in folded:
                totals = _sum(totals, folder.ledger())
                present = set(self._names())
                folded = [name for name in folded if name in present]
                self._write_totals(totals, [*folded, folder.path.name])
            folder.remove()
            self._folders.pop(folder.path.name, None)

    def totals(self) -> dict[Signal, Ledger]:
        """The sum over the processes that are gone."""
        return self._read_totals()[0]

    @contextlib.contextmanager
    def _totals_locked(self) -> Any:
        fd = os.open(self.root / _TOTALS_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _read_totals(self) -> tuple[dict[Signal, Ledger], list[str]]:
        path = self.root / TOTALS
        try:
            return _parse_totals(path.read_bytes())
        except OSError:
            pass
        except (ValueError, TypeError, KeyError, AttributeError):
            self.quarantine(path)
        return {signal: Ledger() for signal in SIGNALS}, []

    def _write_totals(self, totals: Mapping[Signal, Ledger], folded: list[str]) -> None:
        value = {
            "folded": folded,
            "signals": {
                signal: {
                    "ended": ledger.ended,
                    "delivered": ledger.delivered,
                    "in_spool": ledger.in_spool,
                    "dropped": {reason.value: count for reason, count in ledger.dropped.items()},
                }
                for signal, ledger in totals.items()
            },
        }
        write_file(self.root / TOTALS, json.dumps(value, indent=1).encode())


def _sum(one: Mapping[Signal, Ledger], other: Mapping[Signal, Ledger]) -> dict[Signal, Ledger]:
    return {signal: add((one[signal], other[signal])) for signal in SIGNALS}


def _parse_totals(text: bytes) -> tuple[dict[Signal, Ledger], list[str]]:
    value: Any = json.loads(text)
    signals = value["signals"]
    totals: dict[Signal, Ledger] = {
        signal: Ledger(
            int(signals[signal]["ended"]),
            int(signals[signal]["delivered"]),
            int(signals[signal]["in_spool"]),
            {Reason(reason): int(count) for reason, count in signals[signal]["dropped"].items()},
        )
        for signal in SIGNALS
    }
    return totals, [str(name) for name in value["folded"]]


def _allocated(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def _remove_oldest(folder: Path, excess: int) -> tuple[int, int]:
    """Remove files until the excess is gone; how many, and what is left of it."""
    removed = 0
    names: list[Path] = sorted(folder.iterdir()) if excess > 0 and folder.is_dir() else []
    for path in names:  # names begin with the time
        if excess <= 0:
            break
        size = _allocated(path)
        with contextlib.suppress(OSError):
            path.unlink()
            removed, excess = removed + 1, excess - size
    return removed, excess
