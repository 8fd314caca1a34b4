"""The book of findings: the same one is told once, then when it was seen twice as often, 10 minutes apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from tickspan.analysis.findings import Finding
from tickspan.analysis.traces import Sighting

__all__ = ["Book", "KnownFinding"]

BACK_OFF_NS: Final = 600 * 10**9
_NAMED: Final = ("table", "index", "columns", "pool")
"""Evidence that tells a finding from others of its rule about the same statement or database."""


@dataclass(frozen=True, slots=True)
class KnownFinding:
    """A finding of one service, with all that was seen of it.

    Attributes:
        service: `service.name`.
        example: where it was seen at its worst.
        count: how often it was seen.
        time_lost_s: of all times.
        first_ns: when it was seen first.
        last_ns: when it was seen last.
        told_count: the count when it was told last.
        told_ns: when that was.
    """

    service: str
    example: Sighting
    count: int
    time_lost_s: float
    first_ns: int
    last_ns: int
    told_count: int
    told_ns: int

    @property
    def finding(self) -> Finding:
        """As the worst example shows it."""
        return self.example.finding

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Service, rule, what it is about (statement, table, index, pool), place in the code."""
        return _key(self.service, self.example)

    @property
    def id(self) -> str:
        """12 hex digits of all but the place in the code, which may become known later."""
        return blake2b("\0".join(self.key[:3]).encode(errors="replace"), digest_size=6).hexdigest()


class Book:
    """All findings of all services; bounded, the ones not seen longest go. For one thread."""

    def __init__(self, known: Iterable[KnownFinding] = (), max_findings: int = 10_000) -> None:
        """`known` are those of earlier runs."""
        self._max_findings = max_findings
        self._known: dict[tuple[str, str, str], KnownFinding] = {}
        self._changed: dict[tuple[str, str, str], KnownFinding] = {}
        for one in sorted(known, key=lambda one: one.last_ns):
            self._known[one.key[:3]] = one

    def __repr__(self) -> str:
        return f"<Book {len(self._known)} findings>"

    def take(self, service: str, sighting: Sighting, now_ns: int, times: int = 1) -> KnownFinding | None:
        """Note what was seen; it comes back when it is to be told now."""
        key = _key(service, sighting)[:3]
        before = self._known.pop(key, None)
        if before is None:
            if len(self._known) >= self._max_findings:
                del self._known[next(iter(self._known))]
            known = KnownFinding(
                service, sighting, times, sighting.time_lost_s, sighting.at_ns, sighting.at_ns, times, now_ns
            )
            is_told = True
        else:
            known, is_told = _again(before, sighting, now_ns, times)
        self._known[key] = self._changed[key] = known
        return known if is_told else None

    def changed(self) -> list[KnownFinding]:
        """What is not the same as when this was asked before."""
        found = list(self._changed.values())
        self._changed.clear()
        return found


def _again(before: KnownFinding, sighting: Sighting, now_ns: int, times: int) -> tuple[KnownFinding, bool]:
    count = before.count + times
    is_graver = sighting.finding.severity > before.finding.severity
    is_worse = is_graver or (
        sighting.finding.severity == before.finding.severity
        and sighting.time_lost_s > before.example.time_lost_s
    )
    example = sighting if is_worse else before.example
    location = sighting.location if sighting.location.file else before.example.location
    is_due = count >= 2 * before.told_count and now_ns - before.told_ns >= BACK_OFF_NS
    is_told = is_graver or is_due
    known = KnownFinding(
        before.service,
        replace(example, location=location),
        count,
        before.time_lost_s + sighting.time_lost_s,
        min(before.first_ns, sighting.at_ns),
        max(before.last_ns, sighting.at_ns),
        count if is_told else before.told_count,
        now_ns if is_told else before.told_ns,
    )
    return known, is_told


def _key(service: str, sighting: Sighting) -> tuple[str, str, str, str]:
    finding = sighting.finding
    about = [finding.fingerprint or f"{sighting.system}/{sighting.namespace}"]
    about += [name for key in _NAMED if isinstance(name := finding.evidence.get(key), str)]
    return service, finding.rule, "/".join(about), str(sighting.location)
