"""An index that was advised exists, and its statements became faster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Confidence, Finding, Rule, Severity
from tickspan.analysis.indexes.trial import Trial

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "index_verified",
    Severity.INFO,
    "Statements became faster since an advised index exists.",
    "Keep the index.",
)


def check(trial: Trial) -> Iterator[Finding]:
    """Of a trial with a statement that is faster by a tenth or more and none that is slower by as much."""
    best = trial.best
    if best is None or trial.is_undecided or not (best.is_faster and trial.worst_is_harmless):
        return
    yield RULE.found(
        f"Since {trial.index} exists, p50 of {best.label} fell from {best.before_p50_s * 1e3:.3g} to "
        f"{best.after_p50_s * 1e3:.3g} ms.",
        best.evidence(trial.index),
        confidence=Confidence.MEASURED,
        fingerprint=best.fingerprint,
    )
