"""The venues that we know more of than their name: ours, and those of the entry points `tickspan_venues`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from tickspan.instrumentation import type_name
from tickspan.recording import diagnostics
from tickspan.trading.venues import alpaca, binance, bybit, coinbase, hyperliquid, kite, kraken, okx
from tickspan.trading.venues.checking import problem_of
from tickspan.trading.venues.profile import VenueProfile

GROUP: Final = "tickspan_venues"
"""Entry points: each is a `VenueProfile`. One of ours gives way to one of the same name."""
MAX_REMEMBERED: Final = 1_000
_MODULES: Final = (alpaca, binance, bybit, coinbase, hyperliquid, kite, kraken, okx)


class _Profiles:
    """All profiles, read when the first is asked for."""

    def __init__(self) -> None:
        self._by_name: Mapping[str, VenueProfile] | None = None
        self._by_host: dict[str, tuple[VenueProfile, str] | None] = {}
        self._lock = threading.RLock()

    def by_name(self) -> Mapping[str, VenueProfile]:
        if self._by_name is None:
            with self._lock:
                self._by_name = self._by_name or _all(entry_points(group=GROUP))
        return self._by_name

    def by_host(self, host: str) -> tuple[VenueProfile, str] | None:
        try:
            return self._by_host[host]
        except KeyError:
            found = _living_at(self.by_name().values(), host)
            if len(self._by_host) < MAX_REMEMBERED:
                self._by_host[host] = found
            return found


_profiles: Final = _Profiles()


def profile_of(name: str) -> VenueProfile:
    """The profile of the venue `name`; an empty one if nothing is known of it."""
    return _profiles.by_name().get(name) or VenueProfile(name)


def profile_of_host(host: str) -> tuple[VenueProfile, str] | None:
    """Whose host that is, and of which environment; None if no profile knows it."""
    return _profiles.by_host(host)


def profiles() -> tuple[VenueProfile, ...]:
    """All that are known."""
    return tuple(_profiles.by_name().values())


def _living_at(known: Iterable[VenueProfile], host: str) -> tuple[VenueProfile, str] | None:
    """The profile that names the host most exactly: futures have hosts below their exchange's domain."""
    best: tuple[int, VenueProfile] | None = None
    for profile in known:
        closeness = profile.closeness(host)
        if closeness is not None and (best is None or closeness > best[0]):
            best = (closeness, profile)
    environment = best[1].environment_of(host) if best is not None else None
    return (best[1], environment) if best is not None and environment is not None else None


def _all(entries: Iterable[EntryPoint]) -> dict[str, VenueProfile]:
    known = {profile.name: profile for module in _MODULES for profile in module.PROFILES}
    for entry in entries:
        profile = _loaded(entry)
        if profile is not None:
            known[profile.name] = profile
    return known


def _loaded(entry: EntryPoint) -> VenueProfile | None:
    """A third party's profile; a bad one is told with the field that is wrong, and left out."""
    try:
        profile: Any = entry.load()
    except Exception as error:  # noqa: BLE001 - whatever a third party's module raises
        diagnostics.warning("venue '%s' is left out: %s while it was loaded", entry.name, type_name(error))
        return None
    problem = problem_of(profile)
    if problem is None:
        return profile
    diagnostics.warning("venue '%s' is left out: %s (%s)", entry.name, problem, entry.value)
    return None
