"""The snapshot: which keys were hot in the last process, on disk, so that the next one can begin with them.

A JSON file for its owner only, replaced as a whole. It holds keys, never values.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tickspan.cache.entry import Key
from tickspan.cache.keys import key_of, text_of
from tickspan.cache.region import Region
from tickspan.instrumentation import type_name
from tickspan.instrumentation.watch import process_watch
from tickspan.recording import Guard, diagnostics

__all__ = ["MOST_KEYS", "SnapshotKeeper", "hot_keys", "read", "write"]

MOST_KEYS: Final = 1_000
"""Of one region."""
EVERY_S: Final = 60.0

_FORMAT: Final = 1
_LARGEST: Final = 64 * 1024 * 1024  # what is cut off there is no JSON

Heat = Mapping[str, list[tuple[Key, int]]]
"""Of each region its keys, hottest first, with how often each was used."""


def hot_keys(regions: Iterable[Region[Any]], limit: int = MOST_KEYS) -> Heat:
    """The hottest keys of regions now."""
    return {region.name: region.memory.keys_by_heat(limit) for region in regions}


def write(path: Path, heat: Heat) -> None:
    """Replace the file, so that no reader sees half of one.

    Raises:
        OSError: it cannot be written.
    """
    document = {
        "format": _FORMAT,
        "regions": {name: [[text_of(key), count] for key, count in keys] for name, keys in heat.items()},
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, ensure_ascii=False, separators=(",", ":"))
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def read(path: Path) -> Heat:
    """What was written last; nothing where there is no file, or what is in it is none of ours."""
    try:
        return _heat_in(json.loads(_text_of(path)))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        diagnostics.warning("cache: the snapshot %s cannot be used: %s", path, type_name(error))
        return {}


def _text_of(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_LARGEST)


def _heat_in(document: Any) -> Heat:
    if document["format"] != _FORMAT:
        raise ValueError(f"expected format {_FORMAT}")
    return {str(name): _keys(rows) for name, rows in document["regions"].items()}


def _keys(rows: Any) -> list[tuple[Key, int]]:
    found = [(key_of(str(text)), int(count)) for text, count in rows[:MOST_KEYS]]
    return [(key, count) for key, count in found if key is not None]


class SnapshotKeeper:
    """Writes the snapshot every minute, on the thread of the process's watch, and when it is closed."""

    def __init__(
        self,
        path: Path,
        regions: Callable[[], Iterable[Region[Any]]],
        *,
        every_s: float = EVERY_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._regions = regions
        self._every_s = every_s
        self._now_s = now_s
        self._due_s = now_s() + every_s
        self._guard = Guard("cache", "snapshot")
        self._is_told = False
        process_watch().add(self)

    def __repr__(self) -> str:
        return f"<SnapshotKeeper {self.path}>"

    def look(self) -> None:
        """Write it, if it is time."""
        if self._now_s() >= self._due_s:
            self._due_s = self._now_s() + self._every_s
            self.write()

    def write(self) -> None:
        """Write it now; where that fails is told once."""
        self._guard.closing(self._write, default=None)

    def close(self) -> None:
        """Write it a last time, and no more."""
        process_watch().remove(self)
        self.write()

    def _write(self) -> None:
        heat = {name: keys for name, keys in hot_keys(self._regions()).items() if keys}
        if not heat:
            return  # a process that has done nothing yet is not to wipe out what the last one has learnt
        try:
            write(self.path, heat)
        except OSError as error:
            if not self._is_told:
                self._is_told = True
                diagnostics.warning("cache: no snapshot of hot keys: %s", error.strerror or type_name(error))
