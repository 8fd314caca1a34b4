"""Index advice as text, data, a document, or SQL."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tickspan.analysis.findings import Finding
from tickspan.analysis.indexes.advice import QueryChange, WorkloadAnalysis
from tickspan.analysis.indexes.ddl import definition
from tickspan.analysis.indexes.model import IndexAdvice
from tickspan.analysis.sql import Dialect
from tickspan.cli.queries.layout import WIDTH, markdown_table, table

__all__ = ["WRITERS", "Told"]


@dataclass(frozen=True, slots=True)
class Told:
    """All that there is to tell.

    Attributes:
        analysis: the advice.
        dialect: of the database.
        findings: about its catalog.
        unread: statements that could not be read, one line each.
        remarks: what else is to be known, one line each.
    """

    analysis: WorkloadAnalysis
    dialect: Dialect
    findings: tuple[Finding, ...]
    unread: tuple[str, ...]
    remarks: tuple[str, ...]


def _text(told: Told) -> str:
    blocks = ["\n".join(_block(number, advice, told.dialect)) for number, advice in enumerate(_all(told), 1)]
    if told.analysis.queries:
        blocks.append("\n".join(table(_HEADINGS, [_row(change) for change in told.analysis.queries])))
    blocks += ["\n".join(_found(finding)) for finding in told.findings]
    return "\n\n".join([*blocks, "\n".join(_closing(told))])


def _all(told: Told) -> tuple[IndexAdvice, ...]:
    return (*told.analysis.advice, *told.analysis.untried)


def _block(number: int, advice: IndexAdvice, dialect: Dialect) -> Iterator[str]:
    facts = [_size(advice.size_bytes), advice.confidence.value, f"advice {advice.id}"]
    if advice.write_cost_s is not None:
        facts.insert(1, f"+{advice.write_cost_s * 1e6:.1f} us for each row written")
    yield f"{number}. {advice.index.table} {definition(advice.index, dialect)}"
    yield f"   {', '.join(fact for fact in facts if fact)}"
    yield from textwrap.wrap(advice.reason, WIDTH, initial_indent="   ", subsequent_indent="   ")
    yield from (f"   {statement};" for statement in advice.ddl)
    yield f"   undo: {advice.rollback_ddl[-1]};"


def _size(size: int | None) -> str:
    if size is None:
        return ""
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{size / 1024:.0f} KiB"


_HEADINGS: Final = ("WEIGHT", "BEFORE", "AFTER", "LEFT", "STATEMENT")


def _row(change: QueryChange) -> tuple[str, ...]:
    label = change.query.name or change.query.fingerprint
    return (
        f"{change.weight:.1%}",
        f"{change.before:.0f}",
        f"{change.after:.0f}",
        f"{change.relative:.1%}",
        f"{label}  {', '.join(change.indexes)}".rstrip(),
    )


def _found(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity.letter}  {finding.rule}"
    yield from textwrap.wrap(finding.message, WIDTH, initial_indent="   ", subsequent_indent="   ")
    yield f"   -> {finding.advice}"


def _closing(told: Told) -> Iterator[str]:
    yield from told.unread
    yield from told.remarks
    yield _sum(told)


def _sum(told: Told) -> str:
    analysis = told.analysis
    count = len(analysis.advice)
    none = "nothing could be tried" if analysis.explains and not analysis.queries else "no index is missing"
    parts = [f"{count} index{'' if count == 1 else 'es'}" if count else none]
    if count and analysis.size_bytes:
        parts.append(_size(analysis.size_bytes))
    if analysis.untried:
        parts.append(f"{len(analysis.untried)} more that could not be tried")
    if analysis.relative_cost is not None:
        parts.append(f"{analysis.relative_cost:.1%} of the cost is left (geometric mean)")
        parts.append(f"{analysis.explains} EXPLAINs")
    parts.append(f"{analysis.read} read, {len(told.unread) + analysis.not_understood} not understood")
    return ", ".join(parts)


def _data(told: Told) -> dict[str, Any]:
    analysis = told.analysis
    return {
        "advice": [_advice_data(advice) for advice in analysis.advice],
        "untried": [_advice_data(advice) for advice in analysis.untried],
        "statements": [
            {
                "fingerprint": change.query.fingerprint,
                "name": change.query.name,
                "weight": change.weight,
                "before": change.before,
                "after": change.after,
                "indexes": list(change.indexes),
            }
            for change in analysis.queries
        ],
        "findings": [
            {
                "rule": finding.rule,
                "severity": str(finding.severity),
                "message": finding.message,
                "advice": finding.advice,
                "evidence": dict(finding.evidence),
            }
            for finding in told.findings
        ],
        "relative_cost": analysis.relative_cost,
        "explains": analysis.explains,
        "unread": list(told.unread),
        "remarks": list(told.remarks),
    }


def _advice_data(advice: IndexAdvice) -> dict[str, Any]:
    return {
        "id": advice.id,
        "name": advice.name,
        "table": advice.index.table,
        "keys": list(advice.index.keys),
        "includes": list(advice.index.includes),
        "predicate": advice.index.predicate,
        "method": advice.index.method,
        "ddl": list(advice.ddl),
        "rollback_ddl": list(advice.rollback_ddl),
        "confidence": advice.confidence.value,
        "size_bytes": advice.size_bytes,
        "write_cost_s": advice.write_cost_s,
        "reason": advice.reason,
        "fingerprints": list(advice.fingerprints),
        "costs": {name: list(costs) for name, costs in advice.costs.items()},
    }


def _json(told: Told) -> str:
    return json.dumps(_data(told), indent=2)


def _markdown(told: Told) -> str:
    advice = [
        (item.index.table, definition(item.index, told.dialect), _size(item.size_bytes), item.reason, item.id)
        for item in _all(told)
    ]
    parts = [markdown_table(("table", "index", "size", "why", "advice"), advice)] if advice else []
    if told.analysis.queries:
        rows = [_row(change) for change in told.analysis.queries]
        parts.append(markdown_table([heading.lower() for heading in _HEADINGS], rows))
    if told.findings:
        rows = [(finding.rule, finding.message, finding.advice) for finding in told.findings]
        parts.append(markdown_table(("rule", "what", "next step"), rows))
    statements = [f"{line};" for item in _all(told) for line in item.ddl]
    if statements:
        parts.append(["```sql", *statements, "```"])
    return "\n\n".join(["\n".join(part) for part in parts] + ["\n".join(_closing(told))])


def _sql(told: Told) -> str:
    blocks = [
        "\n".join(
            [
                f"-- {item.reason}",
                *(f"{statement};" for statement in item.ddl),
                *(f"-- undo: {statement};" for statement in item.rollback_ddl),
            ]
        )
        for item in _all(told)
    ]
    blocks += [f"-- {finding.rule}: {finding.message}\n-- {finding.advice}" for finding in told.findings]
    return "\n\n".join([*blocks, "\n".join(f"-- {line}" for line in _closing(told))])


WRITERS: Final[Mapping[str, Callable[[Told], str]]] = {
    "text": _text,
    "json": _json,
    "markdown": _markdown,
    "sql": _sql,
}
"""By the word of `--format`."""
