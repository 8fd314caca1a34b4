"""The notifier: turns notices into one message of its kind, sends it, and says what became of it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from tickspan.alerts.notice import Notice, told_number

__all__ = ["SHOWN", "Fate", "Notifier", "Verdict", "headline", "line_of"]

SHOWN: Final = 20
"""Alerts that one message for people names; the rest is counted."""


class Fate(enum.Enum):
    """What became of a message."""

    TAKEN = "taken"
    LATER = "later"
    """It may be taken another time."""
    REFUSED = "refused"
    """It never will be."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a message.

    Attributes:
        fate: see `Fate`.
        trouble: one sentence without any secret; "" when it was taken.
        wait_s: that the receiver asks for before the next attempt.
        refused: indexes of the notices that were refused where the others were taken.
    """

    fate: Fate
    trouble: str = ""
    wait_s: float = 0.0
    refused: tuple[int, ...] = ()


class Notifier(Protocol):
    """For one thread at a time."""

    per_minute: ClassVar[int]
    """Messages that it sends at most."""

    def send(self, notices: Sequence[Notice], now_s: float) -> Verdict:
        """Send one message about these alerts; blocks, within the notifier's own timeout.

        Args:
            notices: at least one.
            now_s: since 1970.
        """
        ...


def headline(notices: Sequence[Notice]) -> str:
    """The subject of a message: `[FIRING] SlowVenue`, `[FIRING 3, RESOLVED 1] SlowVenue and 3 more`."""
    firing = sum(not notice.is_resolved for notice in notices)
    resolved = len(notices) - firing
    if len(notices) == 1:
        return f"[{'FIRING' if firing else 'RESOLVED'}] {notices[0].rule}"
    counts = [f"{word} {count}" for word, count in (("FIRING", firing), ("RESOLVED", resolved)) if count]
    return f"[{', '.join(counts)}] {notices[0].rule} and {len(notices) - 1} more"


def line_of(notice: Notice) -> str:
    """An alert in one line: state, severity, name, summary or value, why it ended."""
    told = notice.annotations.get("summary") or _by_itself(notice)
    why = f" ({notice.reason})" if notice.reason else ""
    return f"{notice.state} [{notice.severity}] {notice.rule}: {told}{why}"


def _by_itself(notice: Notice) -> str:
    where = ", ".join(f"{name}={value}" for name, value in notice.labels if name not in _KNOWN)
    value = told_number(notice.value, notice.unit)
    return f"{value} at {where}" if where else value


_KNOWN: Final = frozenset({"alertname", "severity", "scope"})
