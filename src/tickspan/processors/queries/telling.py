"""Findings as OTLP: log records and counts under the resource of the application that they are about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from tickspan_spool.entries import StreamKey
from tickspan_spool.taps import Finding as Record

from tickspan.analysis.findings import Rule
from tickspan.analysis.traces import Sighting
from tickspan.processors.queries.book import KnownFinding
from tickspan.processors.queries.plans import Explained
from tickspan.recording.wire import (
    CUMULATIVE,
    NUMBER_ATTRIBUTES,
    encode_attributes,
    encode_log,
    encode_scope,
    encode_sum,
)
from tickspan.semconv import code, db
from tickspan.semconv import findings as names
from tickspan.version import __version__

__all__ = [
    "SEVERITY_TEXTS",
    "Counts",
    "Labels",
    "finding_attributes",
    "finding_labels",
    "finding_record",
    "plan_record",
]

_SCOPE: Final = encode_scope("tickspan.queries", __version__, {})
SEVERITY_TEXTS: Final = {9: "INFO", 13: "WARN", 17: "ERROR", 20: "FATAL"}

Labels = tuple[tuple[str, str], ...]
"""Attributes of one point, by name, in a fixed order."""


def finding_record(process: str, about: StreamKey, known: KnownFinding, now_ns: int) -> Record:
    """A finding as an event in the trace that shows it best.

    Args:
        process: `TapBatch.process`.
        about: any stream of the process; its resource counts.
        known: the finding.
        now_ns: since 1970.
    """
    finding, example = known.finding, known.example
    body = encode_log(
        example.at_ns,
        now_ns,
        int(finding.severity),
        SEVERITY_TEXTS[int(finding.severity)],
        finding.message,
        finding_attributes(known),
        0,
        1 if example.trace_id else 0,
        example.trace_id,
        example.span_id,
        names.EVENT,
    )
    return Record(process, _stream("logs", about), body)


def finding_attributes(known: KnownFinding) -> dict[str, str | int | float | bool]:
    """What an event tells of a finding besides its sentence."""
    finding, example = known.finding, known.example
    given: dict[str, str | int | float | bool] = {
        names.FINDING_ID: known.id,
        names.FINDING_RULE: finding.rule,
        names.FINDING_SEVERITY: str(finding.severity),
        names.FINDING_CONFIDENCE: finding.confidence.value,
        names.FINDING_EVIDENCE: json.dumps(dict(finding.evidence)),
        names.FINDING_ADVICE: finding.advice,
        names.FINDING_COUNT: known.count,
        names.FINDING_TIME_LOST: known.time_lost_s,
        names.FINDING_FIRST_SEEN: known.first_ns / 1e9,
        names.FINDING_ORDER_PATH: example.is_on_order_path,
        names.FINDING_DOC: Rule(finding.rule, finding.severity, "", "").doc,
    }
    optional: dict[str, str | int] = {
        db.DB_SYSTEM_NAME: example.system,
        db.DB_NAMESPACE: example.namespace,
        db.DB_QUERY_SUMMARY: finding.summary,
        db.TICKSPAN_DB_QUERY_FINGERPRINT: finding.fingerprint,
        code.CODE_FILE_PATH: example.location.file,
        code.CODE_LINE_NUMBER: example.location.line,
        code.CODE_FUNCTION_NAME: example.location.function,
    }
    return given | {name: value for name, value in optional.items() if value}


def plan_record(process: str, about: StreamKey, explained: Explained, now_ns: int) -> Record:
    """A plan as an event in the trace of the slow call; arguments as of `finding_record`."""
    call, plan = explained.call, explained.plan
    given: dict[str, str | float] = {
        db.DB_SYSTEM_NAME: call.system,
        db.DB_NAMESPACE: call.namespace,
        db.DB_QUERY_SUMMARY: call.summary,
        db.DB_QUERY_TEXT: call.statement.text if call.statement is not None else "",
        db.TICKSPAN_DB_QUERY_FINGERPRINT: call.fingerprint,
        db.TICKSPAN_DB_PLAN_HASH: plan.hash,
        db.TICKSPAN_DB_PLAN_SOURCE: plan.source.value,
    }
    if plan.cost is not None:
        given[db.TICKSPAN_DB_PLAN_COST] = plan.cost
    attributes = {name: value for name, value in given.items() if value != ""}
    span, severity = call.span, 9
    body = encode_log(
        span.end_ns,
        now_ns,
        severity,
        SEVERITY_TEXTS[severity],
        explained.body,
        attributes,
        0,
        1,
        span.trace_id,
        span.span_id,
        db.EVENT_QUERY_PLAN,
    )
    return Record(process, _stream("logs", about), body)


def finding_labels(sighting: Sighting) -> Labels:
    """What the counter of findings tells apart."""
    given = (
        (names.FINDING_RULE, sighting.finding.rule),
        (names.FINDING_SEVERITY, str(sighting.finding.severity)),
        (db.DB_SYSTEM_NAME, sighting.system),
        (db.DB_NAMESPACE, sighting.namespace),
    )
    return tuple((name, value) for name, value in given if value)


class Counts:
    """Counters of one process, cumulative since `start_ns`; for one thread."""

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._sums: dict[str, dict[Labels, int]] = {}
        self._is_changed = False

    def __repr__(self) -> str:
        return f"<Counts {self._sums}>"

    def add(self, name: str, labels: Labels, number: int = 1) -> None:
        """Count."""
        points = self._sums.setdefault(name, {})
        points[labels] = points.get(labels, 0) + number
        self._is_changed = True

    def records(self, process: str, about: StreamKey, now_ns: int) -> list[Record]:
        """All counters, if any has changed since this was asked before."""
        if not self._is_changed:
            return []
        self._is_changed = False
        stream = _stream("metrics", about)
        return [
            Record(process, stream, self._encoded(name, points, now_ns), len(points))
            for name, points in self._sums.items()
        ]

    def _encoded(self, name: str, points: Mapping[Labels, int], now_ns: int) -> bytes:
        described, unit = _INSTRUMENTS[name]
        encoded = [
            (encode_attributes(NUMBER_ATTRIBUTES, dict(labels)), self._start_ns, number, None)
            for labels, number in points.items()
        ]
        return encode_sum(name, described, unit, now_ns, encoded, CUMULATIVE, is_monotonic=True)


_INSTRUMENTS: Final = {
    db.TICKSPAN_DB_FINDINGS: ("How often a rule about queries was broken.", "{finding}"),
    names.QUERIES_SKIPPED: ("Statements that were not analysed, by reason.", "{statement}"),
}


def _stream(signal: str, about: StreamKey) -> StreamKey:
    kind = "logs" if signal == "logs" else "metrics"
    return StreamKey(kind, about.resource, _SCOPE, about.resource_schema_url, "")
