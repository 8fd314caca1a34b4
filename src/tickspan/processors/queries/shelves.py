"""A known finding as JSON, as it is kept in a file."""

from __future__ import annotations

import json
from typing import Any, cast

from tickspan.analysis.findings import Confidence, Finding, Severity
from tickspan.analysis.traces import CodeLocation, Sighting
from tickspan.processors.queries.book import KnownFinding

__all__ = ["as_data", "from_json", "to_json"]


def to_json(known: KnownFinding) -> str:
    """One line."""
    return json.dumps(as_data(known), separators=(",", ":"))


def as_data(known: KnownFinding) -> dict[str, Any]:
    """Values that JSON has, by name."""
    finding, example = known.finding, known.example
    return {
        "id": known.id,
        "service": known.service,
        "rule": finding.rule,
        "severity": str(finding.severity),
        "confidence": finding.confidence.value,
        "message": finding.message,
        "advice": finding.advice,
        "evidence": dict(finding.evidence),
        "fingerprint": finding.fingerprint,
        "summary": finding.summary,
        "system": example.system,
        "namespace": example.namespace,
        "location": list(example.location),
        "order_path": example.is_on_order_path,
        "trace_id": f"{example.trace_id:032x}",
        "span_id": f"{example.span_id:016x}",
        "at_ns": example.at_ns,
        "worst_s": example.time_lost_s,
        "count": known.count,
        "time_lost_s": known.time_lost_s,
        "first_ns": known.first_ns,
        "last_ns": known.last_ns,
        "told_count": known.told_count,
        "told_ns": known.told_ns,
    }


def from_json(text: str) -> KnownFinding | None:
    """What `to_json` gave; None for anything else, such as what another version wrote."""
    try:
        return _known(cast("dict[str, Any]", json.loads(text)))
    except (ValueError, KeyError, TypeError):
        return None


def _known(data: dict[str, Any]) -> KnownFinding:
    finding = Finding(
        rule=data["rule"],
        severity=Severity.of(data["severity"]),
        confidence=Confidence(data["confidence"]),
        message=data["message"],
        advice=data["advice"],
        evidence=data["evidence"],
        fingerprint=data["fingerprint"],
        summary=data["summary"],
    )
    example = Sighting(
        finding,
        int(data["trace_id"], 16),
        int(data["span_id"], 16),
        data["at_ns"],
        data["worst_s"],
        data["system"],
        data["namespace"],
        CodeLocation(*data["location"]),
        data["order_path"],
    )
    return KnownFinding(
        data["service"],
        example,
        data["count"],
        data["time_lost_s"],
        data["first_ns"],
        data["last_ns"],
        data["told_count"],
        data["told_ns"],
    )
