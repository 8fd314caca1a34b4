"""A finding: one thing that should be done better, with its evidence and the next step."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

__all__ = ["Confidence", "Evidence", "Finding", "Rule", "Severity"]

Evidence: TypeAlias = Mapping[str, str | int | float | bool]
"""What was counted or seen, by name: numbers, names of tables and columns, canonical text. No literal."""


class Severity(enum.IntEnum):
    """How bad it is, as OpenTelemetry's severity numbers."""

    INFO = 9
    WARNING = 13
    ERROR = 17
    CRITICAL = 20

    def __str__(self) -> str:
        return self.name.lower()

    @property
    def letter(self) -> str:
        """I, W, E or C."""
        return self.name[0]

    def raised(self) -> Severity:
        """One step up, as for what happens on the path of an order."""
        return _RAISED[self]

    @classmethod
    def of(cls, word: str) -> Severity:
        """By name or first letter, in either case. Raises `ValueError` with the words that are known."""
        for severity in cls:
            if word.upper() in {severity.name, severity.letter}:
                return severity
        known = ", ".join(f"{severity} ({severity.letter})" for severity in cls)
        raise ValueError(f"expected a severity ({known}), got '{word}'")


_RAISED: Final = {
    Severity.INFO: Severity.WARNING,
    Severity.WARNING: Severity.ERROR,
    Severity.ERROR: Severity.CRITICAL,
    Severity.CRITICAL: Severity.CRITICAL,
}


class Confidence(enum.StrEnum):
    """What a finding rests on, weakest first."""

    SYNTACTIC = "syntactic"
    """The text alone."""
    PLAN = "plan"
    """An estimate or a record of the database's planner."""
    WHAT_IF = "what-if"
    """A plan with the change tried as a hypothesis."""
    MEASURED = "measured"
    """Times and counts of what ran."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a module of rules looks for.

    Attributes:
        id: as findings name it, `leading_wildcard`.
        severity: of a finding, unless the circumstances make it worse.
        title: one sentence that says what is wrong, for lists and the reference.
        advice: the next step, one sentence.
    """

    id: str
    severity: Severity
    title: str
    advice: str

    @property
    def doc(self) -> str:
        """Where the reference tells more: page and anchor."""
        return f"docs/reference/query-rules.md#{self.id}"

    def found(
        self,
        message: str,
        evidence: Evidence,
        *,
        severity: Severity | None = None,
        advice: str | None = None,
        confidence: Confidence = Confidence.SYNTACTIC,
        fingerprint: str = "",
        summary: str = "",
    ) -> Finding:
        """A finding of this rule."""
        return Finding(
            rule=self.id,
            severity=self.severity if severity is None else severity,
            confidence=confidence,
            message=message,
            advice=self.advice if advice is None else advice,
            evidence=evidence,
            fingerprint=fingerprint,
            summary=summary,
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that should be done better.

    Attributes:
        rule: `Rule.id`.
        severity: after all circumstances.
        confidence: what it rests on.
        message: one sentence with the names and numbers at hand; no literal.
        advice: the next step; SQL in it is ready to run.
        evidence: what was seen.
        fingerprint: `Statement.fingerprint` of the statement that it is about, "" when it is about none.
        summary: `Statement.summary` of the same.
    """

    rule: str
    severity: Severity
    confidence: Confidence
    message: str
    advice: str
    evidence: Evidence = field(default_factory=dict[str, "str | int | float | bool"])
    fingerprint: str = ""
    summary: str = ""
