"""An index that was advised exists, and nothing became faster: cost is not latency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Confidence, Finding, Rule, Severity
from tickspan.analysis.indexes.trial import Trial

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "index_ineffective",
    Severity.WARNING,
    "An advised index exists, and its statements are no faster, or one is slower.",
    "Drop the index again.",
)


def check(trial: Trial) -> Iterator[Finding]:
    """Of a trial without a statement that is faster by a tenth, or with one that is slower by a tenth."""
    if trial.is_undecided:
        return
    best, worst = trial.best, trial.worst
    if best is None or worst is None or (best.is_faster and trial.worst_is_harmless):
        return
    shown = best if trial.worst_is_harmless else worst
    word = "is" if trial.worst_is_harmless else "became slower:"
    yield RULE.found(
        f"With {trial.index}, p50 of {shown.label} {word} {shown.after_p50_s * 1e3:.3g} ms, after "
        f"{shown.before_p50_s * 1e3:.3g} ms without it.",
        shown.evidence(trial.index),
        advice=trial.rollback or None,
        confidence=Confidence.MEASURED,
        fingerprint=shown.fingerprint,
    )
