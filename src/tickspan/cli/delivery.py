"""Findings about what is recorded and delivered here: the form of the hot modules, spool, agent, ledger."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tickspan_spool import agent, twins
from tickspan_spool.agent import AgentStatus
from tickspan_spool.reasons import Reason
from tickspan_spool.spool import SpoolPlan
from tickspan_spool.viewers import Viewer, viewers

from tickspan.cli.finding import Finding
from tickspan.config import PropagateSettings, Reading
from tickspan.distro import spool_plan
from tickspan.instrumentation.propagation import PropagationRules

_WHO_SENDS: Final = {
    "auto": "none runs; the first record starts one",
    "thread": "none: TICKSPAN_AGENT=thread, each program sends from a thread of its own",
    "external": "none runs, and TICKSPAN_AGENT=external: start 'tickspan agent run'",
    "off": "none: TICKSPAN_AGENT=off, nothing is sent",
}


def delivery_findings(reading: Reading, environ: Mapping[str, str]) -> Iterable[Finding]:
    """All of them, from recording to delivery."""
    yield implementation_finding(twins.chosen())
    yield propagation_finding(reading.settings.propagate)
    plan = spool_plan(reading, environ, "")
    yield spool_finding(plan)
    yield records_finding(plan, viewers(plan.directory))
    status = agent.status(plan.directory)
    yield agent_finding(plan, status)
    yield from destination_findings(plan, status)
    yield from ledger_findings(status)


def implementation_finding(chosen: Iterable[twins.Twin]) -> Finding:
    """Whether the hot modules run compiled, and why not."""
    reasons = sorted({twin.reason for twin in chosen if not twin.is_compiled})
    if not reasons:
        return Finding("recording", is_well=True, detail="compiled")
    return Finding("recording", None, f"interpreted, at four times the cost: {'; '.join(reasons)}")


def propagation_finding(given: PropagateSettings) -> Finding:
    """Who gets trace headers."""
    try:
        PropagationRules.of(given.hosts, given.baggage_hosts, given.baggage_keys)
    except ValueError as error:
        return Finding("propagation", is_well=False, detail=f"private names only: {error}")
    hosts = ", ".join(given.hosts) or "private names only (propagate.hosts adds to them)"
    return Finding("propagation", None, f"trace headers to {hosts}")


def spool_finding(plan: SpoolPlan) -> Finding:
    """Whether records can be kept on disk."""
    folder = plan.directory
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return Finding("spool", is_well=True, detail=f"{plan.directory}, at most {_bytes(plan.max_bytes)}")
    detail = (
        f"{plan.directory} cannot be written to: records are kept in memory and lost with the process; "
        "set TICKSPAN_SPOOL_DIR"
    )
    return Finding("spool", is_well=False, detail=detail)


def records_finding(plan: SpoolPlan, looking_on: Sequence[Viewer]) -> Finding:
    """Who gets to see what is recorded: a collector, a desk on this machine, or nobody so far."""
    places = sorted({destination.label for destination in plan.destinations})
    pages = sorted(viewer.page or viewer.endpoint for viewer in looking_on)
    told = [
        *([f"sent to {', '.join(places)}"] if places else []),
        *([f"shown on {', '.join(pages)}"] if pages else []),
    ]
    if told:
        return Finding("records", is_well=True, detail=" and ".join(told))
    detail = (
        "kept in the flight recorder, and nobody sees them: 'tickspan desk' shows them, "
        "OTEL_EXPORTER_OTLP_ENDPOINT sends them"
    )
    return Finding("records", None, detail)


def agent_finding(plan: SpoolPlan, status: AgentStatus) -> Finding:
    """Who delivers."""
    if not plan.destinations and not status.agents:
        detail = "not needed: nothing is exported, the spool keeps the latest records as a flight recorder"
        return Finding("agent", None, detail)
    if status.agents:
        return Finding(
            "agent", is_well=True, detail=f"runs, pid {', '.join(str(a.pid) for a in status.agents)}"
        )
    is_stuck = status.in_spool > 0 and plan.agent in {"external", "off"}
    return Finding("agent", False if is_stuck else None, _WHO_SENDS[plan.agent])


def destination_findings(plan: SpoolPlan, status: AgentStatus) -> Iterable[Finding]:
    """What the agent says of the places it sends to."""
    del plan
    for running in status.agents:
        for destination in running.destinations:
            trouble = destination.trouble
            yield Finding(
                f"delivery of {destination.signal}",
                is_well=not trouble,
                detail=f"{destination.url}: {trouble or 'no error'}",
            )


def ledger_findings(status: AgentStatus) -> Iterable[Finding]:
    """Per signal what ended and what became of it; a loss is a failure."""
    for signal, counts in status.signals.items():
        unwanted = counts.dropped.get(Reason.FILTERED, 0)  # nobody was to have them, which is no loss
        lost = {
            str(reason): count
            for reason, count in counts.dropped.items()
            if count and reason is not Reason.FILTERED
        }
        told = f"{counts.ended:,} ended, {counts.delivered:,} delivered, {counts.in_spool:,} wait"
        if unwanted:
            told += f", {unwanted:,} for no destination"
        if not counts.ended:
            continue
        if lost:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(lost.items()))
            yield Finding(f"ledger of {signal}", is_well=False, detail=f"{told}, lost: {reasons}")
        else:
            yield Finding(f"ledger of {signal}", is_well=True, detail=f"{told}, none lost")
    if status.dead_letters:
        detail = f"{status.dead_letters} requests were refused for good: 'tickspan agent dead list'"
        yield Finding("dead letters", is_well=False, detail=detail)


def _bytes(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
