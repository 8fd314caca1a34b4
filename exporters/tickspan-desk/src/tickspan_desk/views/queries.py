"""Statements: what they cost, what is wrong with them, where they are called. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import StatusCode

from tickspan.analysis.sql.dialect import Dialect
from tickspan.received import ReceivedSpan, Value
from tickspan.semconv import code, common, db, foreign
from tickspan.semconv import findings as names
from tickspan_desk.store.reading import LogEntry, Window
from tickspan_desk.views.metrics import Line

__all__ = [
    "Advice",
    "CallStep",
    "Exemplar",
    "FindingLine",
    "IndexLine",
    "Note",
    "Plan",
    "Queries",
    "Site",
    "Statement",
    "StatementView",
    "advice_of",
    "fingerprint_of",
    "queries_of",
    "statement_view",
]

_COLUMNS: Final = 60
_MOST_TEXT: Final = 4_000
_MOST_SITES: Final = 20
_MOST_EXEMPLARS: Final = 10
_MOST_PLANS: Final = 10
_MOST_STATEMENTS: Final = 200
_SEVERITIES: Final = ("critical", "error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Statement:
    """All calls of one statement in a window.

    Attributes:
        fingerprint: of its normalised text, or of what else tells it from others where no text was told.
        title: its summary, or its first words.
        text: normalised: without data.
        rows: read and changed.
        total_ns: of all calls.
        findings: different ones that were told of it.
        worst: severity of the worst of them; "" without any.
    """

    fingerprint: str
    title: str
    text: str
    system: str
    namespace: str
    services: tuple[str, ...]
    calls: int
    errors: int
    rows: int
    total_ns: int
    p50_ns: int
    p99_ns: int
    findings: int
    worst: str


@dataclass(frozen=True, slots=True)
class Queries:
    """Statements of a window, those with the most time first.

    Attributes:
        calls: that were looked at; the newest where there are more than `limit`.
        total_ns: of all of them.
        statements: the first 200.
        different: statements in all.
    """

    window: Window
    service: str
    services: tuple[str, ...]
    calls: int
    limit: int
    total_ns: int
    statements: tuple[Statement, ...]
    different: int


@dataclass(frozen=True, slots=True)
class FindingLine:
    """A finding, told once with the newest of its counts.

    Attributes:
        advice: the next step.
        evidence: what was counted or seen, (name, value) as text.
        time_lost_ns: estimated, of all times it was seen.
        doc: where the reference tells of the rule.
    """

    rule: str
    severity: str
    message: str
    advice: str
    confidence: str
    count: int
    time_lost_ns: int
    is_on_order_path: bool
    evidence: tuple[tuple[str, str], ...]
    doc: str
    trace_id: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class IndexLine:
    """An index that the statement's text asks for; nothing of it is executed.

    Attributes:
        ddl: statements that create it without blocking writers.
        rollback: statements that remove it.
    """

    name: str
    reason: str
    confidence: str
    ddl: str
    rollback: str


@dataclass(frozen=True, slots=True)
class Note:
    """A rule that a text breaks, and the next step."""

    rule: str
    severity: str
    message: str
    advice: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What the text alone tells, here and now.

    Attributes:
        indexes: worth having.
        notes: rules that the text breaks.
        unknown: what could not be told and why.
    """

    indexes: tuple[IndexLine, ...] = ()
    notes: tuple[Note, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as the database told it; `text` is JSON without data, indented where it can be read."""

    hash: str
    source: str
    cost: float | None
    text: str
    trace_id: str
    at_ns: int
    times: int


@dataclass(frozen=True, slots=True)
class Site:
    """Where in the source a statement is called."""

    function: str
    file: str
    line: int
    calls: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A slow call and its trace."""

    duration_ns: int
    at_ns: int
    trace_id: str
    span_id: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class CallStep:
    """Calls of one column; quantiles None without any."""

    at_ns: int
    calls: int
    errors: int
    p50_ns: int | None
    p99_ns: int | None


@dataclass(frozen=True, slots=True)
class StatementView:
    """One statement.

    Attributes:
        steps: 60 columns of the window.
        plans: newest first, each different one once.
        errors: (type, how often) of calls that failed.
        orm_paths: relationships that an ORM loads by it.
    """

    statement: Statement
    window: Window
    steps: tuple[CallStep, ...]
    findings: tuple[FindingLine, ...]
    advice: Advice
    plans: tuple[Plan, ...]
    sites: tuple[Site, ...]
    exemplars: tuple[Exemplar, ...]
    errors: tuple[tuple[str, int], ...]
    orm_paths: tuple[str, ...]

    @property
    def rates(self) -> tuple[Line, ...]:
        """Calls and failures of each column."""
        return (
            Line("calls", tuple((step.at_ns, float(step.calls)) for step in self.steps)),
            Line("failed", tuple((step.at_ns, float(step.errors)) for step in self.steps)),
        )

    @property
    def latencies(self) -> tuple[Line, ...]:
        """Median and 99th percentile of each column in which there were calls, in seconds."""
        return (
            Line("p50", tuple((one.at_ns, one.p50_ns / 1e9) for one in self.steps if one.p50_ns is not None)),
            Line("p99", tuple((one.at_ns, one.p99_ns / 1e9) for one in self.steps if one.p99_ns is not None)),
        )


def fingerprint_of(span: ReceivedSpan) -> str:
    """The fingerprint that the instrumentor told, or one of system, namespace and text: 16 hex digits."""
    told = span.attributes.get(db.TICKSPAN_DB_QUERY_FINGERPRINT)
    if isinstance(told, str) and told:
        return told
    named = "\0".join((_system(span), _string(span, db.DB_NAMESPACE), _text(span) or span.name))
    return hashlib.sha256(named.encode(errors="replace")).hexdigest()[:16]


def queries_of(
    spans: Sequence[ReceivedSpan],
    findings: Iterable[LogEntry],
    window: Window,
    *,
    service: str = "",
    limit: int,
) -> Queries:
    """All statements.

    Args:
        spans: database calls of the window.
        findings: events, of which those of findings count.
        window: that was asked for.
        service: that is wanted; "" is all.
        limit: how many spans were asked for.
    """
    services = tuple(sorted({_service(span) for span in spans}))
    wanted = [span for span in spans if service in {"", _service(span)}]
    told = _by_fingerprint(findings)
    groups: dict[str, list[ReceivedSpan]] = defaultdict(list)
    for span in wanted:
        groups[fingerprint_of(span)].append(span)
    statements = [
        _statement(fingerprint, calls, told.get(fingerprint, ())) for fingerprint, calls in groups.items()
    ]
    statements.sort(key=lambda one: (-one.total_ns, one.fingerprint))
    return Queries(
        window=window,
        service=service,
        services=services,
        calls=len(wanted),
        limit=limit,
        total_ns=sum(one.total_ns for one in statements),
        statements=tuple(statements[:_MOST_STATEMENTS]),
        different=len(statements),
    )


def statement_view(
    fingerprint: str, spans: Sequence[ReceivedSpan], events: Iterable[LogEntry], window: Window
) -> StatementView:
    """One statement. `spans` are its calls, at least one; `events` findings and plans of any statement."""
    known = list(events)
    mine = _by_fingerprint(known).get(fingerprint, ())
    plans = [
        entry
        for entry in known
        if entry.record.event_name == db.EVENT_QUERY_PLAN
        and entry.record.attributes.get(db.TICKSPAN_DB_QUERY_FINGERPRINT) == fingerprint
    ]
    slowest = sorted(spans, key=lambda span: span.start_ns - span.end_ns)[:_MOST_EXEMPLARS]
    statement, lines = _statement(fingerprint, spans, mine), _finding_lines(mine)
    return StatementView(
        statement=statement,
        window=window,
        steps=_steps(spans, window),
        findings=lines,
        advice=advice_of(statement, frozenset(one.rule for one in lines)),
        plans=_plans(plans),
        sites=_sites(spans),
        exemplars=tuple(
            Exemplar(span.end_ns - span.start_ns, span.start_ns, span.trace_id, span.span_id, _is_error(span))
            for span in slowest
        ),
        errors=tuple(
            Counter(_error_type(span) for span in spans if _is_error(span)).most_common(_MOST_EXEMPLARS)
        ),
        orm_paths=tuple(sorted({path for span in spans if (path := _string(span, db.TICKSPAN_DB_ORM_PATH))})),
    )


def advice_of(statement: Statement, told: AbstractSet[str] = frozenset()) -> Advice:
    """What the analysis of text says of a statement; rules that were `told` already are left out.

    A text without data is read as well as one with. Where there is no schema, sizes and existing indexes are
    not known: compare before an index is made.
    """
    dialect = Dialect.of(statement.system)
    if dialect is Dialect.GENERIC or not statement.text.strip() or len(statement.text) >= _MOST_TEXT:
        return Advice()
    try:
        from tickspan.analysis.optimizer import QueryOptimizer  # the parser takes half a second to load

        analysis = QueryOptimizer(dialect=dialect.value).analyze_query(statement.text, calls=statement.calls)
    except (ValueError, RecursionError) as error:
        return Advice(unknown=(f"the text cannot be read: {error}",))
    return Advice(
        indexes=tuple(
            IndexLine(
                one.name,
                one.reason,
                one.confidence.value,
                str(one),
                "\n".join(f"{line};" for line in one.rollback_ddl),
            )
            for one in analysis.index_recommendations
        ),
        notes=tuple(
            Note(one.rule, str(one.severity), one.message, one.advice)
            for one in analysis.findings
            if one.rule not in told
        ),
        unknown=analysis.unknown,
    )


def _by_fingerprint(findings: Iterable[LogEntry]) -> dict[str, list[LogEntry]]:
    told: dict[str, list[LogEntry]] = defaultdict(list)
    for entry in findings:
        fingerprint = entry.record.attributes.get(db.TICKSPAN_DB_QUERY_FINGERPRINT)
        if isinstance(fingerprint, str) and entry.record.event_name == names.EVENT:
            told[fingerprint].append(entry)
    return told


def _statement(fingerprint: str, calls: Sequence[ReceivedSpan], findings: Iterable[LogEntry]) -> Statement:
    durations = sorted(max(0, span.end_ns - span.start_ns) for span in calls)
    text = next((told for span in calls if (told := _text(span))), "")
    lines = _finding_lines(findings)
    severities = {one.severity for one in lines}
    return Statement(
        fingerprint=fingerprint,
        title=next((told for span in calls if (told := _string(span, db.DB_QUERY_SUMMARY))), "")
        or (text.split("\n", 1)[0] or calls[0].name)[:80],
        text=text[:_MOST_TEXT],
        system=_system(calls[0]),
        namespace=_string(calls[0], db.DB_NAMESPACE) or _string(calls[0], foreign.DB_NAME_OLD),
        services=tuple(sorted({_service(span) for span in calls})),
        calls=len(calls),
        errors=sum(map(_is_error, calls)),
        rows=sum(map(_rows, calls)),
        total_ns=sum(durations),
        p50_ns=_quantile(durations, 0.5),
        p99_ns=_quantile(durations, 0.99),
        findings=len(lines),
        worst=next((severity for severity in _SEVERITIES if severity in severities), ""),
    )


def _finding_lines(findings: Iterable[LogEntry]) -> tuple[FindingLine, ...]:
    """Each finding once, as it was told last; the worst first."""
    newest: dict[str, LogEntry] = {}
    for entry in findings:
        key = str(entry.record.attributes.get(names.FINDING_ID, entry.number))
        known = newest.get(key)
        if known is None or entry.number > known.number:
            newest[key] = entry
    lines = [_finding_line(entry) for entry in newest.values()]
    return tuple(
        sorted(lines, key=lambda one: (_rank(one.severity), -one.time_lost_ns, one.rule, one.message))
    )


def _finding_line(entry: LogEntry) -> FindingLine:
    record = entry.record
    told = record.attributes
    return FindingLine(
        rule=str(told.get(names.FINDING_RULE, "")),
        severity=str(told.get(names.FINDING_SEVERITY, "")),
        message=str(record.body or ""),
        advice=str(told.get(names.FINDING_ADVICE, "")),
        confidence=str(told.get(names.FINDING_CONFIDENCE, "")),
        count=int(_number(told.get(names.FINDING_COUNT))),
        time_lost_ns=int(_number(told.get(names.FINDING_TIME_LOST)) * 1e9),
        is_on_order_path=told.get(names.FINDING_ORDER_PATH) is True,
        evidence=_evidence(told.get(names.FINDING_EVIDENCE)),
        doc=str(told.get(names.FINDING_DOC, "")),
        trace_id=record.trace_id or "",
        at_ns=record.time_ns or record.observed_ns,
    )


def _evidence(told: Value) -> tuple[tuple[str, str], ...]:
    """What is told as a JSON object, in its order; anything else is one value without a name."""
    if not isinstance(told, str):
        return ()
    try:
        read: object = json.loads(told)
    except (ValueError, RecursionError):
        return (("", told[:_MOST_TEXT]),)
    if not isinstance(read, dict):
        return (("", told[:_MOST_TEXT]),)
    return tuple((str(key), _plain(value)) for key, value in read.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - of JSON


def _plain(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(_plain(item) for item in value)  # pyright: ignore[reportUnknownVariableType] - of JSON
    return (value if isinstance(value, str) else json.dumps(value))[:_MOST_TEXT]


def _plans(entries: Iterable[LogEntry]) -> tuple[Plan, ...]:
    groups: dict[str, list[LogEntry]] = defaultdict(list)
    for entry in entries:
        groups[str(entry.record.attributes.get(db.TICKSPAN_DB_PLAN_HASH, ""))].append(entry)
    plans: list[Plan] = []
    for hashed, same in groups.items():
        newest = max(same, key=lambda entry: entry.number)
        cost = newest.record.attributes.get(db.TICKSPAN_DB_PLAN_COST)
        plans.append(
            Plan(
                hash=hashed,
                source=str(newest.record.attributes.get(db.TICKSPAN_DB_PLAN_SOURCE, "")),
                cost=None if cost is None else _number(cost),
                text=_indented(newest.record.body),
                trace_id=newest.record.trace_id or "",
                at_ns=newest.record.time_ns or newest.record.observed_ns,
                times=len(same),
            )
        )
    return tuple(sorted(plans, key=lambda plan: -plan.at_ns)[:_MOST_PLANS])


def _indented(body: Value) -> str:
    text = body if isinstance(body, str) else "" if body is None else str(body)
    try:
        return json.dumps(json.loads(text), indent=2)
    except (ValueError, RecursionError):
        return text


def _sites(spans: Iterable[ReceivedSpan]) -> tuple[Site, ...]:
    found: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for span in spans:
        function, file = _string(span, code.CODE_FUNCTION_NAME), _string(span, code.CODE_FILE_PATH)
        if function or file:
            line = int(_number(span.attributes.get(code.CODE_LINE_NUMBER)))
            found[function, file, line].append(max(0, span.end_ns - span.start_ns))
    sites = [Site(*place, len(times), sum(times)) for place, times in found.items()]
    return tuple(
        sorted(sites, key=lambda site: (-site.total_ns, site.function, site.file, site.line))[:_MOST_SITES]
    )


def _steps(spans: Iterable[ReceivedSpan], window: Window) -> tuple[CallStep, ...]:
    step_ns = max(1, -(-(window.until_ns - window.since_ns) // _COLUMNS))
    columns: list[list[ReceivedSpan]] = [[] for _ in range(_COLUMNS)]
    for span in spans:
        column = (span.start_ns - window.since_ns) // step_ns
        if 0 <= column < _COLUMNS:
            columns[column].append(span)
    steps: list[CallStep] = []
    for number, calls in enumerate(columns):
        durations = sorted(max(0, span.end_ns - span.start_ns) for span in calls)
        steps.append(
            CallStep(
                window.since_ns + number * step_ns,
                len(calls),
                sum(map(_is_error, calls)),
                _quantile(durations, 0.5) if durations else None,
                _quantile(durations, 0.99) if durations else None,
            )
        )
    return tuple(steps)


def _quantile(ordered: Sequence[int], q: float) -> int:
    """The nearest rank: the smallest duration that a share `q` of all does not exceed; exact."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def _rank(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)


def _is_error(span: ReceivedSpan) -> bool:
    return span.status.code is StatusCode.ERROR


def _error_type(span: ReceivedSpan) -> str:
    return _string(span, common.ERROR_TYPE) or span.status.description[:200] or "error"


def _rows(span: ReceivedSpan) -> int:
    told = (
        span.attributes.get(db.DB_RESPONSE_RETURNED_ROWS),
        span.attributes.get(db.TICKSPAN_DB_ROWS_AFFECTED),
    )
    return sum(int(_number(value)) for value in told)


def _number(value: Value) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return value if is_number else 0.0  # pyright: ignore[reportReturnType] - narrowed above


def _text(span: ReceivedSpan) -> str:
    return _string(span, db.DB_QUERY_TEXT) or _string(span, foreign.DB_STATEMENT_OLD)


def _system(span: ReceivedSpan) -> str:
    return _string(span, db.DB_SYSTEM_NAME) or _string(span, foreign.DB_SYSTEM_OLD)


def _string(span: ReceivedSpan, name: str) -> str:
    value = span.attributes.get(name)
    return "" if value is None else str(value)


def _service(span: ReceivedSpan) -> str:
    return str(span.resource.get(common.SERVICE_NAME, ""))
