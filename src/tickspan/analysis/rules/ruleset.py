"""The rule set: what one rule file, with what it includes, says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tickspan.analysis.rules.calendars import Calendar
from tickspan.analysis.rules.facts import MetricFact
from tickspan.analysis.rules.model import Rule

__all__ = ["NotifierSettings", "RuleSet"]


@dataclass(frozen=True, slots=True)
class NotifierSettings:
    """One entry of `notifiers`.

    Attributes:
        name: that rules know it by.
        type: `alertmanager`, `webhook`, `slack`, `email`, `callback`.
        options: the rest of the entry; secrets only as names of files or variables.
    """

    name: str
    type: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules, and what they refer to.

    Attributes:
        rules: in the file's order; names are unique.
        calendars: by name.
        notifiers: by name.
        metrics: what is known of each metric that the rules read or the file declares, by name.
    """

    rules: tuple[Rule, ...] = ()
    calendars: Mapping[str, Calendar] = field(default_factory=dict[str, Calendar])
    notifiers: Mapping[str, NotifierSettings] = field(default_factory=dict[str, NotifierSettings])
    metrics: Mapping[str, MetricFact] = field(default_factory=dict[str, MetricFact])
