"""The outage journal: what Redis has not heard for sure, and must be made void there before it is read."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from tickspan.cache.tiers import AnyRequest, Bump, Bury, Erase, Read, Write

__all__ = ["Due", "Journal", "JournalStatistics", "epoch_of", "region_of"]

_VERSION: Final = slice(8, 16)


@dataclass(frozen=True, slots=True)
class JournalStatistics:
    """What waits to be made void, and what has been."""

    keys: int
    epochs: int
    prefixes: int
    noted: int
    """Entries so far."""
    settled: int


@dataclass(slots=True)
class _Entry:
    number: int
    due_s: float
    version: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be made void now; `stamp` says up to when it was noted."""

    stamp: int
    keys: dict[str, int] = field(default_factory=dict[str, int])
    """Names, with the highest version that was to be written or buried; 0 for none."""
    epochs: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys or self.epochs or self.prefixes)


class Journal:
    """Names that a read must not be answered for.

    What certainly was not done is due at once. Of what may have been done (its reply did not come) the server
    may hear late, so it is due after `unknown_s`: until then the same name may change once more. Beyond
    `limit` names the region with most of them is void as a whole.

    Safe for any thread. A fork's child begins with an empty one: its parent sees to its own.
    """

    def __init__(
        self, *, limit: int = 10_000, unknown_s: float = 1.0, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._unknown_s = unknown_s
        self._now_s = now_s
        self.forget()

    def __repr__(self) -> str:
        return f"<Journal {len(self._keys)} keys, {len(self._epochs)} epochs, {len(self._prefixes)} prefixes>"

    def forget(self) -> None:
        """Begin anew."""
        self._lock = threading.Lock()
        self._keys: dict[str, _Entry] = {}
        self._epochs: dict[str, _Entry] = {}
        self._prefixes: dict[str, _Entry] = {}
        self._settled = 0
        self.stamp = 0
        """The number of the last entry."""
        self.is_dirty = False
        """Whether anything waits."""

    def note(self, request: AnyRequest, *, is_unknown: bool) -> bool:
        """Remember that a request was not done, or may not have been; False where that makes nothing void."""
        due_s = self._now_s() + (self._unknown_s if is_unknown else 0.0)
        with self._lock:
            match request:
                case Write(key=key, version=version):
                    self._note_key(key, due_s, version or 0)
                case Bury(keys=keys, tombstones=tombstones):
                    for key, raw in zip(keys, tombstones, strict=True):
                        self._note_key(key, due_s, int.from_bytes(raw[_VERSION]))
                case Bump(epochs=epochs):
                    for name in epochs:
                        self._note_epoch(name, due_s)
                case Erase(prefix=prefix):
                    self._note_prefix(prefix, due_s)
                case _:
                    return False
            self.is_dirty = True
        return True

    def touches(self, request: Read) -> bool:
        """Whether an answer could hold something that is to be void."""
        if not self.is_dirty:
            return False
        with self._lock:
            if any(key in self._keys for key in request.keys):
                return True
            if any(name in self._epochs for name in request.epochs):
                return True
            prefixes = tuple(self._prefixes)
        if not prefixes:
            return False
        return any(key.startswith(prefixes) for key in request.keys) or any(
            region_of(name) in prefixes for name in request.epochs
        )

    def due(self, most: int, *, is_last: bool = False) -> Due:
        """What can be made void now, at most so many names; with `is_last` also what is not due yet."""
        now_s = math.inf if is_last else self._now_s()
        with self._lock:
            keys: dict[str, int] = {}
            for name, entry in self._keys.items():
                if entry.due_s <= now_s:
                    keys[name] = entry.version
                    if len(keys) >= most:
                        break
            return Due(
                self.stamp,
                keys,
                tuple(name for name, entry in self._epochs.items() if entry.due_s <= now_s)[:most],
                tuple(name for name, entry in self._prefixes.items() if entry.due_s <= now_s),
            )

    def wait_s(self) -> float | None:
        """How long until something is due; None when nothing waits."""
        with self._lock:
            dues = [
                entry.due_s
                for entries in (self._keys, self._epochs, self._prefixes)
                for entry in entries.values()
            ]
        return max(0.0, min(dues) - self._now_s()) if dues else None

    def settle(self, due: Due) -> None:
        """It has been made void; what was noted again since stays."""
        with self._lock:
            self._remove(self._keys, due.keys, due.stamp)
            self._remove(self._epochs, due.epochs, due.stamp)
            self._remove(self._prefixes, due.prefixes, due.stamp)

    def done(self, request: Bury | Bump, stamp: int) -> None:
        """A request has made names void that were noted up to `stamp`, before it was sent."""
        now_s = self._now_s()
        with self._lock:
            names, entries = (
                (request.keys, self._keys) if isinstance(request, Bury) else (request.epochs, self._epochs)
            )
            certain = [name for name in names if name in entries and entries[name].due_s <= now_s]
            self._remove(entries, certain, stamp)

    def statistics(self) -> JournalStatistics:
        """Counts now."""
        return JournalStatistics(
            len(self._keys), len(self._epochs), len(self._prefixes), self.stamp, self._settled
        )

    def _remove(self, entries: dict[str, _Entry], names: Iterable[str], stamp: int) -> None:
        for name in names:
            entry = entries.get(name)
            if entry is not None and entry.number <= stamp:
                del entries[name]
                self._settled += 1
        self.is_dirty = bool(self._keys or self._epochs or self._prefixes)

    def _note_key(self, key: str, due_s: float, version: int) -> None:
        region = region_of(key)
        if region in self._prefixes:
            self._note_prefix(region, due_s)
            return
        before = self._keys.get(key)
        entry = self._entry(due_s, before)
        entry.version = max(version, 0 if before is None else before.version)
        self._keys[key] = entry
        if len(self._keys) > self._limit:
            self._shorten(self._keys)

    def _note_epoch(self, name: str, due_s: float) -> None:
        self._epochs[name] = self._entry(due_s, self._epochs.get(name))
        if len(self._epochs) > self._limit:
            self._shorten(self._epochs)

    def _note_prefix(self, prefix: str, due_s: float) -> None:
        self._prefixes[prefix] = self._entry(due_s, self._prefixes.get(prefix))
        if len(self._prefixes) > self._limit:
            self._shorten(self._prefixes)

    def _entry(self, due_s: float, before: _Entry | None) -> _Entry:
        self.stamp += 1
        return _Entry(self.stamp, due_s if before is None else max(due_s, before.due_s))

    def _shorten(self, entries: dict[str, _Entry]) -> None:
        """The region with most names is void as a whole: fewer names, and more loads."""
        region, _ = Counter(map(region_of, entries)).most_common(1)[0]
        gone = [name for name in entries if region_of(name) == region]
        due_s = max(entries[name].due_s for name in gone)
        for name in gone:
            del entries[name]
        self._prefixes[region] = self._entry(due_s, self._prefixes.get(region))


def region_of(name: str) -> str:
    """The prefix of all values of a name's region: of `bot:quotes:AAPL`, and of `bot:@tag:quotes:usd`."""
    namespace, _, rest = name.partition(":")
    first, _, rest = rest.partition(":")
    if first.startswith("@"):
        first = rest.partition(":")[0]
    return f"{namespace}:{first}:"


def epoch_of(prefix: str) -> str | None:
    """The epoch whose change voids all values below `prefix`; None if that is not a whole region."""
    namespace, _, rest = prefix.partition(":")
    region, mark, rest = rest.partition(":")
    return f"{namespace}:@all:{region}" if mark and not rest and not region.startswith("@") else None
