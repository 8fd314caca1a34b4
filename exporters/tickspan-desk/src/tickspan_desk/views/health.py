"""The health of telemetry itself: what was lost, what waits, what is broken, and what to do. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan_spool.agent import semconv as agent

from tickspan.alerts.notice import told_number
from tickspan.received import Attributes, ReceivedSpan, Value
from tickspan.recording.urls import REDACTED
from tickspan.semconv import alerts, common, findings, logs, metrics, trading
from tickspan_desk.store.reading import LogEntry, Series, StoreStatistics, Window
from tickspan_desk.views.metrics import increase_of

__all__ = [
    "BAD",
    "EVENTS",
    "FAULTS",
    "MANY_SERIES",
    "METRICS",
    "OK",
    "UNKNOWN",
    "WARN",
    "Breaker",
    "Check",
    "Exported",
    "Fault",
    "Health",
    "Ledger",
    "Loss",
    "MetricSize",
    "Orphan",
    "Sample",
    "Skew",
    "Spool",
    "health_of",
    "sample_of",
]

OK: Final = "ok"
WARN: Final = "warn"
BAD: Final = "bad"
UNKNOWN: Final = "unknown"

FAULTS: Final[Mapping[str, str]] = {
    alerts.ALERT_RULE_FAILURES: "evaluations of alert rules that failed",
    alerts.ALERT_NOTIFICATIONS_DROPPED: "notifications of alerts that were dropped",
    metrics.TICKSPAN_MEASUREMENTS_IGNORED: "measurements that were no number",
    trading.METRIC_UNPARSED: "values of venues that could not be read",
    findings.QUERIES_SKIPPED: "statements that were not analysed",
    logs.LOG_DROPPED: "log records that were left out while the spool was nearly full",
    logs.EVENT_LOG_SUPPRESSED: "log records that a call site wrote too often",
}
"""Counters of what went wrong inside of instrumentation, in words."""
METRICS: Final = (
    agent.LEDGER_RECORDS,
    agent.SPOOL_SIZE,
    agent.SPOOL_OLDEST_AGE,
    agent.BREAKER_STATE,
    *agent.EXPORTED.values(),
    *FAULTS,
)
"""That the page is made of."""
EVENTS: Final = (agent.PROCESS_DIED, agent.LOSS)
MANY_SERIES: Final = 1_000
"""Of one metric: half of what an instrument keeps before it overflows."""
_BREAKERS: Final = ("closed", "full batches only", "small batches", "open: probes only")
_SETTLED_NS: Final = 30_000_000_000
"""A parent that has not come for so long after its child is taken as lost."""
_SKEW_NS: Final = 1_000_000
"""A child that begins earlier than its parent by more is a sign that two clocks differ."""
_UNKNOWN_SERVICE: Final = "unknown_service"
_SPOOL_WARN: Final = 358 << 20
_AGE_WARN_S: Final = 60.0
_MOST: Final = 20
_LARGEST: Final = 30


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the page.

    Attributes:
        state: ok, warn, bad or unknown.
        told: what was seen.
        advice: what to do; "" where all is well.
    """

    title: str
    state: str
    told: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Records of one signal that one agent has answered for: ended = delivered + in spool + dropped."""

    host: str
    instance: str
    signal: str
    ended: int
    delivered: int
    dropped: tuple[tuple[str, int], ...]
    in_spool: int


@dataclass(frozen=True, slots=True)
class Spool:
    """The spool of one agent; None where it did not say. `last_ns`: when it said so."""

    host: str
    instance: str
    size_bytes: float | None
    oldest_age_s: float | None
    last_ns: int


@dataclass(frozen=True, slots=True)
class Breaker:
    """How much is sent to one destination. `level`: 0 all, 3 nothing but probes."""

    host: str
    signal: str
    destination: str
    level: int
    state: str


@dataclass(frozen=True, slots=True)
class Exported:
    """Records that an exporter has counted; `outcome`: "delivered", or why they were not."""

    exporter: str
    outcome: str
    records: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something of instrumentation that went wrong, counted in the range. `detail`: which of them."""

    service: str
    title: str
    detail: str
    count: int


@dataclass(frozen=True, slots=True)
class Loss:
    """What an agent told of lost telemetry, or of a process that died."""

    at_ns: int
    name: str
    service: str
    text: str


@dataclass(frozen=True, slots=True)
class Orphan:
    """A span whose parent never came."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    service: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Skew:
    """Spans of one service that begin before their parents of another, and by how much at most."""

    parent: str
    child: str
    count: int
    most_ns: int
    trace_id: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What the newest traces of the range show.

    Attributes:
        traces, spans: that were looked at.
        orphans: spans whose parent never came: the first 20.
        orphan_count: all of them.
        redactions: values that were held back, by attribute.
        nameless: spans without a service name.
    """

    traces: int
    spans: int
    orphans: tuple[Orphan, ...]
    orphan_count: int
    skews: tuple[Skew, ...]
    redactions: tuple[tuple[str, int], ...]
    nameless: int


@dataclass(frozen=True, slots=True)
class MetricSize:
    """A metric and how many series the desk keeps of it. `has_overflow`: an instrument has refused some."""

    name: str
    series: int
    has_overflow: bool


@dataclass(frozen=True, slots=True)
class Health:
    """Everything on the page; `checks` sum it up, the worst first."""

    window: Window
    checks: tuple[Check, ...]
    ledgers: tuple[Ledger, ...]
    exports: tuple[Exported, ...]
    spools: tuple[Spool, ...]
    breakers: tuple[Breaker, ...]
    faults: tuple[Fault, ...]
    losses: tuple[Loss, ...]
    sample: Sample
    metrics: tuple[MetricSize, ...]
    store: StoreStatistics


def sample_of(traces: Iterable[Sequence[ReceivedSpan]], now_ns: int) -> Sample:
    """What whole traces show of broken parents, clocks, redaction and names.

    A span that ended within the last 30 s is not called an orphan: its parent may still run.
    """
    count = spans = nameless = 0
    orphans: list[Orphan] = []
    skewed: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    redacted: Counter[str] = Counter()
    for trace in traces:
        count += 1
        known = {span.span_id: span for span in trace}
        for span in trace:
            spans += 1
            nameless += not _is_named(span.resource)
            redacted.update(name for name, value in span.attributes.items() if REDACTED in str(value))
            parent = known.get(span.parent_span_id or "")
            if span.parent_span_id and parent is None and span.end_ns < now_ns - _SETTLED_NS:
                orphans.append(_orphan(span))
            if parent is not None and parent.start_ns - span.start_ns > _SKEW_NS:
                way = _service(parent.resource), _service(span.resource)
                skewed[way].append((parent.start_ns - span.start_ns, span.trace_id))
    skews = [
        Skew(*way, len(found), *max(found, key=lambda one: one[0])) for way, found in sorted(skewed.items())
    ]
    return Sample(
        traces=count,
        spans=spans,
        orphans=tuple(orphans[:_MOST]),
        orphan_count=len(orphans),
        skews=tuple(skews[:_MOST]),
        redactions=tuple(redacted.most_common(_MOST)),
        nameless=nameless,
    )


def health_of(
    series: Mapping[str, Sequence[Series]],
    events: Iterable[LogEntry],
    sample: Sample,
    sizes: Iterable[MetricSize],
    services: Iterable[str],
    store: StoreStatistics,
    window: Window,
) -> Health:
    """The page.

    Args:
        series: by metric, of `METRICS`; a metric may be missing.
        events: of `EVENTS`, newest first.
        sample: of the newest traces.
        sizes: of all metrics.
        services: all names that are kept; "" is a process without one.
        store: what the desk keeps.
        window: that was asked for.
    """
    told = {name: [one for one in many if one.points] for name, many in series.items()}
    largest = sorted(sizes, key=lambda one: (-one.series, one.name))[:_LARGEST]
    ledgers, spools, breakers = _ledgers(told), _spools(told), _breakers(told)
    faults, losses = _faults(told, window), tuple(map(_loss, events))[:_MOST]
    checks = [
        _lost(ledgers),
        _waiting(spools),
        _sending(breakers),
        _faulty(faults),
        _died(losses),
        _orphaned(sample),
        _clocks(sample),
        _named(services, sample),
        _redacted(sample),
        _cardinality(largest),
        _evicted(store),
    ]
    order = (BAD, WARN, UNKNOWN, OK)
    return Health(
        window=window,
        checks=tuple(sorted(checks, key=lambda check: order.index(check.state))),
        ledgers=ledgers,
        exports=_exports(told),
        spools=spools,
        breakers=breakers,
        faults=faults,
        losses=losses,
        sample=sample,
        metrics=tuple(largest),
        store=store,
    )


def _lost(ledgers: Sequence[Ledger]) -> Check:
    title = "Nothing was dropped"
    if not ledgers:
        return Check(title, UNKNOWN, "No agent has reported yet.", _NO_REPORT)
    dropped: Counter[str] = Counter()
    for one in ledgers:
        dropped.update(dict(one.dropped))
    if not dropped.total():
        ended = sum(one.ended for one in ledgers)
        return Check(title, OK, f"{ended:,} records ended, none was dropped.")
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common())
    return Check(
        title,
        BAD,
        f"{dropped.total():,} records were dropped: {reasons}.",
        "See the reasons below: full is `spool.max_bytes`, the others are what the destination answered.",
    )


_NO_REPORT: Final = (
    "The agent reports once a minute; TICKSPAN_AGENT_REPORT_S changes that. Without an agent "
    "(TICKSPAN_AGENT=thread or off), and of other senders, there is no ledger."
)


def _waiting(spools: Sequence[Spool]) -> Check:
    title = "The spool is drained"
    if not spools:
        return Check(title, UNKNOWN, "No agent has told of its spool yet.", _NO_REPORT)
    size = max((one.size_bytes or 0.0 for one in spools), default=0.0)
    age_s = max((one.oldest_age_s or 0.0 for one in spools), default=0.0)
    said = f"{size / (1 << 20):.1f} MiB on disk, the oldest record waits for {age_s:.0f} s."
    if size >= _SPOOL_WARN:
        return Check(
            title,
            BAD,
            said,
            "At `spool.max_bytes` the oldest records go. See whether the destination answers.",
        )
    if age_s >= _AGE_WARN_S:
        return Check(
            title, WARN, said, "Something holds delivery up: look at the breakers below, and at agent.log."
        )
    return Check(title, OK, said)


def _sending(breakers: Sequence[Breaker]) -> Check:
    title = "Destinations take everything"
    if not breakers:
        return Check(title, UNKNOWN, "No agent has told of its destinations yet.", _NO_REPORT)
    worst = max(breakers, key=lambda one: one.level)
    if not worst.level:
        return Check(title, OK, f"{len(breakers)} breakers, all closed.")
    return Check(
        title,
        BAD if worst.level == len(_BREAKERS) - 1 else WARN,
        f"{worst.signal} to {worst.destination}: {worst.state}.",
        "The destination refuses, is slow or is away. What was recorded waits in the spool.",
    )


def _faulty(faults: Sequence[Fault]) -> Check:
    title = "Instrumentation has no faults"
    advice = (
        "A fault of a hook never reaches the program: it is written to its stderr by the logger `tickspan` "
        "and the hook is off after ten. What is counted here says which records have less in them."
    )
    if not faults:
        return Check(title, OK, "No count of a fault has grown. Hooks that fail tell it on stderr, not here.")
    said = ", ".join(f"{one.count:,} {one.title}" for one in faults[:3])
    return Check(title, WARN, f"{said}.", advice)


def _died(losses: Sequence[Loss]) -> Check:
    title = "Processes end cleanly"
    if not losses:
        return Check(title, OK, "No process died, and no agent told of a loss.")
    return Check(
        title,
        BAD,
        losses[0].text or losses[0].name,
        "What the process had recorded was delivered; see its last traces.",
    )


def _orphaned(sample: Sample) -> Check:
    title = "Every parent came"
    if not sample.orphan_count:
        return Check(title, OK, f"{sample.spans:,} spans of the newest {sample.traces:,} traces have theirs.")
    return Check(
        title,
        WARN,
        f"{sample.orphan_count:,} of {sample.spans:,} spans name a parent that never came.",
        "A process on the way does not send here, samples differently, died, or its span is still open. "
        "The desk may also have evicted it: see below.",
    )


def _clocks(sample: Sample) -> Check:
    title = "Clocks agree"
    if not sample.skews:
        return Check(title, OK, "No span begins before its parent by more than 1 ms.")
    worst = max(sample.skews, key=lambda one: one.most_ns)
    return Check(
        title,
        WARN,
        f"A span of {worst.child or 'no name'} begins {told_number(worst.most_ns / 1e9, 's')} before "
        f"its parent in {worst.parent or 'no name'}.",
        "The hosts' clocks differ: run an NTP client on both. Durations are right, the order is not.",
    )


def _named(services: Iterable[str], sample: Sample) -> Check:
    title = "Every process has a service name"
    bad = sorted({name for name in services if not name or name.startswith(_UNKNOWN_SERVICE)})
    if not bad and not sample.nameless:
        return Check(title, OK, "All do.")
    said = ", ".join(name or "(none)" for name in bad[:5]) or "(none)"
    return Check(
        title,
        WARN,
        f"Services without a name of their own: {said}.",
        "Set OTEL_SERVICE_NAME, or `service_name` of tickspan.init().",
    )


def _redacted(sample: Sample) -> Check:
    title = "Secrets are held back"
    if not sample.redactions:
        return Check(title, OK, "No value of the newest traces had to be held back.")
    told = ", ".join(f"{name} ({count:,})" for name, count in sample.redactions[:5])
    return Check(title, OK, f"Held back in the newest traces: {told}.")


def _cardinality(sizes: Sequence[MetricSize]) -> Check:
    title = "Metrics have few series"
    overflowed = [one.name for one in sizes if one.has_overflow]
    many = [one.name for one in sizes if one.series >= MANY_SERIES]
    advice = "An attribute takes too many values. Leave it out by a view, or put it on spans instead."
    if overflowed:
        return Check(
            title, BAD, f"At its limit, so that values are joined: {', '.join(overflowed[:5])}.", advice
        )
    if many:
        return Check(title, WARN, f"{MANY_SERIES:,} series or more: {', '.join(many[:5])}.", advice)
    most = f"The most are {sizes[0].series:,}, of {sizes[0].name}." if sizes else "There are none."
    return Check(title, OK, most)


def _evicted(store: StoreStatistics) -> Check:
    title = "The desk keeps everything"
    gone = {why: count for why, count in store.evicted.items() if count}
    if not gone:
        return Check(title, OK, "Nothing was evicted.")
    told = ", ".join(f"{count:,} records by {why}" for why, count in sorted(gone.items()))
    by_size = bool(gone.get("size"))
    return Check(
        title,
        WARN if by_size else OK,
        f"Evicted: {told}.",
        "Give the desk more room to look further back: see `tickspan desk --help`." if by_size else "",
    )


def _ledgers(told: Mapping[str, Sequence[Series]]) -> tuple[Ledger, ...]:
    counts: dict[tuple[str, str, str], dict[tuple[str, str], int]] = defaultdict(dict)
    for one in told.get(agent.LEDGER_RECORDS, ()):
        key = (*_reporter(one), _attribute(one, agent.SIGNAL))
        outcome = _attribute(one, agent.OUTCOME), _attribute(one, agent.DROP_REASON)
        counts[key][outcome] = counts[key].get(outcome, 0) + int(_last(one))
    found: list[Ledger] = []
    for key, outcomes in sorted(counts.items()):
        ended, delivered = outcomes.get(("ended", ""), 0), outcomes.get(("delivered", ""), 0)
        dropped = tuple(
            sorted(
                (reason, count)
                for (outcome, reason), count in outcomes.items()
                if outcome == "dropped" and count
            )
        )
        in_spool = ended - delivered - sum(count for _, count in dropped)
        found.append(Ledger(*key, ended, delivered, dropped, max(0, in_spool)))
    return tuple(found)


def _exports(told: Mapping[str, Sequence[Series]]) -> tuple[Exported, ...]:
    counts: Counter[tuple[str, str]] = Counter()
    for name in agent.EXPORTED.values():
        for one in told.get(name, ()):
            component = _attribute(one, agent.COMPONENT_NAME) or _attribute(one, agent.COMPONENT_TYPE)
            counts[component, _attribute(one, agent.ERROR_TYPE) or "delivered"] += int(_last(one))
    return tuple(
        Exported(component, outcome, count) for (component, outcome), count in sorted(counts.items()) if count
    )


def _spools(told: Mapping[str, Sequence[Series]]) -> tuple[Spool, ...]:
    sizes = {_reporter(one): one for one in told.get(agent.SPOOL_SIZE, ())}
    ages = {_reporter(one): one for one in told.get(agent.SPOOL_OLDEST_AGE, ())}
    return tuple(
        Spool(
            *key,
            _last(sizes[key]) if key in sizes else None,
            _last(ages[key]) if key in ages else None,
            max(one.points[-1].time_ns for one in (sizes.get(key), ages.get(key)) if one is not None),
        )
        for key in sorted({*sizes, *ages})
    )


def _breakers(told: Mapping[str, Sequence[Series]]) -> tuple[Breaker, ...]:
    found: list[Breaker] = []
    for one in told.get(agent.BREAKER_STATE, ()):
        level = min(max(int(_last(one)), 0), len(_BREAKERS) - 1)
        signal, destination = _attribute(one, agent.SIGNAL), _attribute(one, agent.DESTINATION)
        found.append(Breaker(_reporter(one)[0], signal, destination, level, _BREAKERS[level]))
    return tuple(sorted(found, key=lambda one: (-one.level, one.host, one.signal, one.destination)))


def _faults(told: Mapping[str, Sequence[Series]], window: Window) -> tuple[Fault, ...]:
    found = [
        Fault(
            one.service,
            title,
            ", ".join(f"{key}={_text(value)}" for key, value in sorted(one.attributes.items())),
            count,
        )
        for name, title in FAULTS.items()
        for one in told.get(name, ())
        if (count := int(increase_of(one, window)))
    ]
    return tuple(sorted(found, key=lambda one: (-one.count, one.service, one.title, one.detail))[:_MOST])


def _loss(entry: LogEntry) -> Loss:
    record = entry.record
    service = _text(record.attributes.get(agent.SERVICE)) or _service(record.resource)
    return Loss(record.time_ns or record.observed_ns, record.event_name, service, _text(record.body))


def _orphan(span: ReceivedSpan) -> Orphan:
    return Orphan(
        span.trace_id,
        span.span_id,
        span.parent_span_id or "",
        span.name,
        _service(span.resource),
        span.start_ns,
    )


def _is_named(resource: Attributes) -> bool:
    name = _service(resource)
    return bool(name) and not name.startswith(_UNKNOWN_SERVICE)


def _service(resource: Attributes) -> str:
    return _text(resource.get(common.SERVICE_NAME))


def _reporter(series: Series) -> tuple[str, str]:
    named: Callable[[str], str] = lambda name: _text(series.resource.get(name))  # noqa: E731 - two look-ups
    instance = named(common.SERVICE_INSTANCE_ID)
    return named(common.HOST_NAME) or instance or series.service, instance


def _attribute(series: Series, name: str) -> str:
    return _text(series.attributes.get(name))


def _last(series: Series) -> float:
    value = series.points[-1].value
    return float(value) if value is not None and math.isfinite(value) else 0.0


def _text(value: Value) -> str:
    return "" if value is None else str(value)
