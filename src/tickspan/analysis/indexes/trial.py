"""A trial: latencies of statements before and after an advised index appeared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from tickspan.analysis.findings import Evidence

__all__ = ["MIN_SAMPLES", "Change", "Sketch", "Trial"]

MIN_SAMPLES: Final = 30
"""On each side; fewer decide nothing."""

_NOTABLE: Final = 0.1
"""Share by which a latency must differ."""


class Sketch(Protocol):
    """Latencies that were added up: a histogram, or samples."""

    @property
    def count(self) -> int:
        """How many."""
        ...

    def quantile(self, share: float, /) -> float:
        """Seconds below which this share of all lies."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one statement.

    Attributes:
        fingerprint: of it.
        label: what people know it by.
        before_p50_s: half of its calls took less, before.
        after_p50_s: the same after.
        before_p95_s: 95 % of its calls took less, before.
        after_p95_s: the same after.
        samples: on the side that has fewer.
    """

    fingerprint: str
    label: str
    before_p50_s: float
    after_p50_s: float
    before_p95_s: float
    after_p95_s: float
    samples: int

    @classmethod
    def of(cls, fingerprint: str, label: str, before: Sketch, after: Sketch) -> Change:
        """From the latencies on both sides."""
        return cls(
            fingerprint,
            label or fingerprint,
            before.quantile(0.5),
            after.quantile(0.5),
            before.quantile(0.95),
            after.quantile(0.95),
            min(before.count, after.count),
        )

    @property
    def relative(self) -> float:
        """What is left of the latency: of p50 or p95, whichever fell less."""
        return max(
            self.after_p50_s / max(self.before_p50_s, 1e-9), self.after_p95_s / max(self.before_p95_s, 1e-9)
        )

    @property
    def is_faster(self) -> bool:
        """Whether both fell, one by a tenth or more: a better p50 with a worse p95 is no gain."""
        p50 = self.after_p50_s / max(self.before_p50_s, 1e-9)
        p95 = self.after_p95_s / max(self.before_p95_s, 1e-9)
        return min(p50, p95) <= 1 - _NOTABLE and max(p50, p95) <= 1.0

    @property
    def is_slower(self) -> bool:
        """Whether one of both rose by a tenth or more, and the other did not fall by as much."""
        p50 = self.after_p50_s / max(self.before_p50_s, 1e-9)
        p95 = self.after_p95_s / max(self.before_p95_s, 1e-9)
        return max(p50, p95) >= 1 + _NOTABLE and min(p50, p95) > 1 - _NOTABLE

    def evidence(self, index: str) -> Evidence:
        """The numbers of a finding."""
        return {
            "index": index,
            "before_p50_s": self.before_p50_s,
            "after_p50_s": self.after_p50_s,
            "before_p95_s": self.before_p95_s,
            "after_p95_s": self.after_p95_s,
            "samples": self.samples,
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """An index that exists, and its statements.

    Attributes:
        index: its name.
        changes: of the statements that it was advised for and that ran often enough on both sides.
        too_few: labels of those that did not.
        rollback: statements that remove it.
    """

    index: str
    changes: tuple[Change, ...]
    too_few: tuple[str, ...] = ()
    rollback: str = ""

    @property
    def is_undecided(self) -> bool:
        """Whether no statement ran often enough."""
        return not self.changes

    @property
    def best(self) -> Change | None:
        """Whose latency fell most."""
        return min(self.changes, key=lambda change: (not change.is_faster, change.relative), default=None)

    @property
    def worst(self) -> Change | None:
        """Whose latency rose most."""
        return max(self.changes, key=lambda change: (change.is_slower, change.relative), default=None)

    @property
    def worst_is_harmless(self) -> bool:
        """Whether none is slower by a tenth."""
        return not any(change.is_slower for change in self.changes)
