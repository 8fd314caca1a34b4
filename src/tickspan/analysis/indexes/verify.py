"""Verification: whether an advised index, now that it exists, made its statements faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tickspan.analysis.findings import Finding
from tickspan.analysis.indexes.rules import TRIAL_CHECKS
from tickspan.analysis.indexes.trial import MIN_SAMPLES, Change, Sketch, Trial

__all__ = ["trial_of", "verify"]

_NO_LABELS: Final[Mapping[str, str]] = {}


def trial_of(
    index: str,
    latencies: Mapping[str, tuple[Sketch, Sketch]],
    *,
    labels: Mapping[str, str] = _NO_LABELS,
    rollback: str = "",
) -> Trial:
    """The trial of an index.

    Args:
        index: its name.
        latencies: per fingerprint of the statements that it was advised for, before and after it appeared.
        labels: per fingerprint, what people know the statement by.
        rollback: statements that remove it.
    """
    changes: list[Change] = []
    too_few: list[str] = []
    for fingerprint, (before, after) in latencies.items():
        label = labels.get(fingerprint) or fingerprint
        if min(before.count, after.count) < MIN_SAMPLES:
            too_few.append(label)
        else:
            changes.append(Change.of(fingerprint, label, before, after))
    return Trial(index, tuple(changes), tuple(too_few), rollback)


def verify(trial: Trial) -> tuple[Finding, ...]:
    """`index_verified` or `index_ineffective`; nothing while there are not 30 samples on either side."""
    return tuple(finding for _, check in TRIAL_CHECKS for finding in check(trial))
