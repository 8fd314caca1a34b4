"""Versions: what the last two versions of each service spend their time on, and what became slower.

The agent adds up each minute's profile by `service.version`. Whenever the newer version has twice as many
samples as at the last look, both are compared; the chance that anything at all is told by accident stays
below 5 % over all looks. What is known stands in a file, since an agent ends with the last process.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tickspan_spool.home import private_folder, write_file

from tickspan.analysis.profiles import Profile
from tickspan.analysis.regression import LEAST_POINTS, SIGNIFICANT, Change, compared_counts, own_counts
from tickspan.profiler.control import FOLDER

__all__ = ["Regression", "Versions"]

FILE: Final = "versions.json"
"""In the folder of profiles."""
_FORMAT: Final = 1
_FIRST_LOOK: Final = 500
"""Samples of busy threads of both versions."""
_MOST_SERVICES: Final = 100
_MOST_FUNCTIONS: Final = 1_000
_MOST_SAMPLES: Final = 200_000
_MOST_BYTES: Final = 32 << 20
_OTHERS: Final = "[others]"


@dataclass(frozen=True, slots=True)
class Regression:
    """A function that takes a larger share in the newer version than in the one before it.

    Attributes:
        service: `service.name`.
        before: `service.version` of the older one.
        after: of the newer one.
        change: the function and its shares.
    """

    service: str
    before: str
    after: str
    change: Change


@dataclass(slots=True)
class _Version:
    """Samples of busy threads of one version, by function."""

    name: str
    counts: Counter[str] = field(default_factory=Counter[str])
    looks: int = 0
    """How often it was compared with the version before it."""
    told: set[str] = field(default_factory=set[str])

    def add(self, counts: Mapping[str, int]) -> None:
        """One more profile. Old samples lose half of their weight when there are very many."""
        self.counts.update(counts)
        if self.counts.total() > _MOST_SAMPLES:
            self.counts = Counter({name: count // 2 for name, count in self.counts.items() if count > 1})
        if len(self.counts) > _MOST_FUNCTIONS:
            kept = Counter(dict(self.counts.most_common(_MOST_FUNCTIONS - 1)))
            kept[_OTHERS] += self.counts.total() - kept.total()
            self.counts = kept


class Versions:
    """Of the services of one spool. For one thread."""

    def __init__(self, spool: Path) -> None:
        self._path = spool / FOLDER / FILE
        self._services: dict[str, list[_Version]] | None = None

    def __repr__(self) -> str:
        return f"<Versions of {len(self._services or {})} services>"

    def note(self, profile: Profile) -> list[Regression]:
        """Add a profile; returns what it shows to have become slower, each function once.

        One of a service that does not tell its `service.version` is left out.

        Raises:
            OSError: it cannot be kept; it counts nevertheless.
        """
        counts = own_counts(profile)
        if not profile.version or not counts:
            return []
        services = self._services = self._load() if self._services is None else self._services
        versions = services.pop(profile.service, [])
        services[profile.service] = versions
        while len(services) > _MOST_SERVICES:
            del services[next(iter(services))]
        version = next((one for one in versions if one.name == profile.version), None)
        if version is None:
            version = _Version(profile.version)
            versions.append(version)
            del versions[:-2]
        version.add(counts)
        found = [
            Regression(profile.service, versions[0].name, versions[1].name, change)
            for change in (_rises(*versions) if len(versions) > 1 else ())
        ]
        self._save()
        return found

    def _load(self) -> dict[str, list[_Version]]:
        """What was kept; nothing where the file is none of ours."""
        found: dict[str, list[_Version]] = {}
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            with self._path.open("rb") as file:
                given: Any = json.loads(file.read(_MOST_BYTES))
            if given["format"] == _FORMAT:
                for service, versions in given["services"].items():
                    found[str(service)] = [_version(one) for one in versions[-2:]]
        return found

    def _save(self) -> None:
        services = {
            service: [
                {"name": one.name, "counts": one.counts, "looks": one.looks, "told": sorted(one.told)}
                for one in versions
            ]
            for service, versions in (self._services or {}).items()
        }
        data = json.dumps({"format": _FORMAT, "services": services}, separators=(",", ":"))
        private_folder(self._path.parent)
        write_file(self._path, data.encode(errors="replace"))


def _version(given: Any) -> _Version:
    counts = Counter({str(name): max(0, int(count)) for name, count in given["counts"].items()})
    return _Version(str(given["name"]), counts, int(given["looks"]), {str(one) for one in given["told"]})


def _rises(before: _Version, after: _Version) -> Iterator[Change]:
    """What is worse by now, at a look that is due.

    The k-th look may err with a chance of 5 % / 2k(k + 1), which adds up to 2.5 % over all of them; the rest
    is for samples that come in bursts, of which the smallest chances are judged too small.
    """
    samples = min(before.counts.total(), after.counts.total())
    if samples < _FIRST_LOOK << after.looks:
        return
    after.looks += 1
    allowed = SIGNIFICANT / (2 * after.looks * (after.looks + 1))
    for change in compared_counts(before.counts, after.counts):
        if (
            change.points >= LEAST_POINTS
            and change.p_value < allowed
            and change.function not in after.told | {_OTHERS}
        ):
            after.told.add(change.function)
            yield change
