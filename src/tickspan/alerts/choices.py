"""The choices: what the settings of alerts say of tiers and thresholds, the same in process and agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tickspan.analysis.rules.tiers import Tier
from tickspan.recording import diagnostics

__all__ = ["thresholds_of", "tiers_of"]


def tiers_of(given: Iterable[str], *, has_agent: bool = True) -> frozenset[Tier]:
    """The tiers that settings name, and always process and agent; a name that is none is told."""
    known = {tier.value for tier in Tier}
    unknown = [name for name in given if name not in known]
    if unknown:
        diagnostics.warning("alerts.tiers: expected %s, got %s", ", ".join(sorted(known)), ", ".join(unknown))
    ours = {Tier.PROCESS, Tier.AGENT} if has_agent else {Tier.PROCESS}
    return frozenset({*ours, *(Tier(name) for name in given if name in known)})


def thresholds_of(given: Iterable[str]) -> Mapping[str, str]:
    """The threshold of each rule, from entries `rule=number`; one that is none is told."""
    found: dict[str, str] = {}
    for one in given:
        name, separator, value = one.partition("=")
        if not separator:
            diagnostics.warning("alerts.thresholds: expected rule=number, got '%s'", one)
            continue
        found[name.strip()] = value.strip()
    return found
