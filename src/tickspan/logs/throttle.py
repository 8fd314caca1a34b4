"""Throttle: how many records one line of code may write, and what is told of those it did not.

Per line, not per text: an f-string makes each text a new one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from tickspan.recording._impl import logrecord

__all__ = ["Place", "Suppressed", "Throttle"]

Place = tuple[str, int]
"""File and line."""

REPORT_EVERY_NS: Final = 10 * 10**9
MAX_SITES: Final = 4096


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Records of one line that were left out.

    Attributes:
        site: the line.
        count: how many.
        about: what its first record was given as, for whoever tells.
        first: text of the first of them.
        last: text of the last.
    """

    site: Place
    count: int
    about: tuple[str, str, int, str]
    first: str
    last: str


@dataclass(slots=True)
class _Account:
    about: tuple[str, str, int, str]
    first: str
    last: str
    since_ns: int
    count: int = 1


@dataclass(slots=True)
class Throttle:
    """What is told of lines that wrote more than they may; `recording.logrecord` counts what passes.

    Safe from any thread. At most 4,096 lines are told apart: with one more, the one that was seen first
    starts anew, and what was left out of it is told.
    """

    sites: dict[Place, logrecord.Site]
    _untold: dict[Place, logrecord.Site] = field(default_factory=dict[Place, logrecord.Site])
    _tidied_ns: int = 0
    _lost: list[Suppressed] = field(default_factory=list[Suppressed])
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __repr__(self) -> str:
        return f"<Throttle {len(self.sites)} lines>"

    def opened(self, place: Place, now_ns: int) -> logrecord.Site:
        """A line that logs for the first time, or again after it was forgotten."""
        with self._lock:
            if len(self.sites) >= MAX_SITES:
                oldest = next(iter(self.sites))
                self._settle(oldest, self.sites.pop(oldest), self._lost)
            return self.sites.setdefault(place, logrecord.Site(*place, now_ns))

    def suppress(
        self,
        site: logrecord.Site,
        place: Place,
        now_ns: int,
        about: tuple[str, str, int, str],
        text: Callable[[], str],
    ) -> None:
        """Count a record that did not pass; `about` and `text` as in `Suppressed`."""
        told = text()
        with self._lock:
            account: _Account | None = cast("Any", site).account
            if account is None:
                site.account = _Account(about, told, told, now_ns)
                self._untold[place] = site
            else:
                account.last = told
                account.count += 1

    def due(self, now_ns: int, *, everything: bool = False) -> list[Suppressed]:
        """What is to be told: lines whose first record was left out 10 s ago, or all of them.

        A line that has been silent as long is forgotten.
        """
        with self._lock:
            told, self._lost = self._lost, []
            for place, site in list(self._untold.items()):
                account: _Account | None = cast("Any", site).account
                if account is None or everything or _is_past(now_ns, account.since_ns):
                    self._settle(place, site, told)
            if _is_past(now_ns, self._tidied_ns):
                self._tidied_ns = now_ns
                for place, site in list(self.sites.items()):
                    if site.account is None and _is_past(now_ns, site.window_ns):
                        self.sites.pop(place, None)
        return told

    def forget(self) -> None:
        """A forked child: what was left out is its parent's to tell."""
        self.sites.clear()
        self._untold.clear()
        self._lost, self._lock = [], threading.RLock()

    def _settle(self, place: Place, site: logrecord.Site, told: list[Suppressed]) -> None:
        account: _Account | None = cast("Any", site).account
        site.account = None
        self._untold.pop(place, None)
        if account is not None:
            told.append(Suppressed(place, account.count, account.about, account.first, account.last))


def _is_past(now_ns: int, since_ns: int) -> bool:
    """Whether ten seconds have gone, or the clock was set back."""
    return not 0 <= now_ns - since_ns < REPORT_EVERY_NS
