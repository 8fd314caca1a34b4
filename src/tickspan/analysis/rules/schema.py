"""The schema: which keys a rule file has, how their values are written, and what they mean.

Files are read by it, and the reference page is written from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tickspan.analysis.rules.budgets import Pace
from tickspan.analysis.rules.facts import MetricKind
from tickspan.analysis.rules.forms import (
    ATTRIBUTES,
    CONDITION,
    COUNT,
    DURATION,
    LABELS,
    NAME,
    NAMES,
    NO_DATA,
    NUMBER,
    OWNER,
    POSITIVE,
    SCOPE,
    SEVERITY,
    STAT,
    TEXT,
    TEXTS,
    WHERE,
    Form,
    choice,
)
from tickspan.analysis.rules.model import EventStatus

__all__ = [
    "BURN_WINDOW",
    "CALENDAR",
    "COMMON",
    "KINDS",
    "METRIC",
    "NOTIFIERS",
    "SELECTOR",
    "TOP",
    "VERSION",
    "Key",
    "Kind",
]

VERSION: Final = "1"


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        name: as files have it.
        form: of its value.
        meaning: one sentence for the reference.
        default: what stands in its place, for the reference; "" is nothing.
        is_required: there is no default.
    """

    name: str
    form: Form[Any]
    meaning: str
    default: str = ""
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of rule.

    Attributes:
        meaning: when it is true.
        keys: of its own, beside those of all rules.
        example: a rule, as YAML.
    """

    meaning: str
    keys: tuple[Key, ...]
    example: str


def _nested(told: str) -> Form[Any]:
    """Of what has keys of its own: it is read part by part."""
    return Form(told, lambda raw: raw)


TOP: Final[tuple[Key, ...]] = (
    Key("version", TEXT, "Of the format.", "1"),
    Key("include", TEXTS, "`default`, or rule files and OpenSLO documents, relative to this one."),
    Key("without", NAMES, "Included rules that are not wanted. A rule of the same name replaces one too."),
    Key("thresholds", _nested("mapping of rules to numbers"), "Other thresholds for included rules."),
    Key("calendars", _nested("mapping of names to calendars"), "When sessions are open."),
    Key("notifiers", _nested("mapping of names to notifiers"), "Who is told."),
    Key("metrics", _nested("mapping of names to metrics"), "What the catalogue of metrics cannot know."),
    Key("slos", _nested("list of OpenSLO documents"), "Objectives; OpenSLO v1, kinds SLO and SLI."),
    Key("rules", _nested("list of rules"), "The rules."),
)

COMMON: Final[tuple[Key, ...]] = (
    Key("name", NAME, "Of the alert, unique.", is_required=True),
    Key("kind", NAME, "Of the rule: see below.", "threshold"),
    Key("by", ATTRIBUTES, "One alert for each combination of these attributes; all else is joined."),
    Key(
        "scope",
        SCOPE,
        "Over what is added up: one process, one host, all processes of a service, or everything.",
        "process; service for slo",
    ),
    Key("for", DURATION, "How long the condition must hold before the alert fires.", "0s"),
    Key("keep_firing_for", DURATION, "How long the alert lasts after the condition holds no more.", "0s"),
    Key("session", NAME, "A calendar: outside of its sessions the rule is not evaluated."),
    Key("warmup", DURATION, "Time after the opening in which it is not evaluated either.", "0s"),
    Key("severity", SEVERITY, "How bad it is.", "warning"),
    Key(
        "owner",
        OWNER,
        "The evaluator that alone ends the alert; auto is the slowest that is configured.",
        "auto",
    ),
    Key("limit", POSITIVE, "More alerts than this fail the evaluation.", "100"),
    Key("notify", NAMES, "Names of notifiers.", "all"),
    Key("labels", LABELS, "Labels that are added; names in Prometheus spelling."),
    Key("annotations", LABELS, "Texts for people; `{{ value }}` and `{{ labels.NAME }}` are filled in."),
)

_WINDOW: Final = Key("window", DURATION, "The time that is looked at.", "1m")
_SELECTED: Final = (
    Key("metric", TEXT, "OpenTelemetry name of the metric.", is_required=True),
    Key("where", WHERE, "Which series; resource attributes count too."),
)
_STAT: Final = Key(
    "stat",
    STAT,
    "Gauges and up-down counters: last, avg, min, max. Counters: rate (per second), increase. Histograms:"
    " avg, rate, count, or a quantile such as p95.",
    "last; rate; p95",
)
_CONDITION: Final = Key("condition", CONDITION, "How value and threshold are compared.", "gt")
_THRESHOLD: Final = Key(
    "threshold",
    NUMBER,
    "A bare number is in the metric's unit; `100ms`, `64MiB`, `90%`, `5/min` are converted.",
    is_required=True,
)
_CLEAR: Final = Key("clear", NUMBER, "Once firing, the alert lasts while the value is beyond this.")
_MIN_COUNT: Final = Key("min_count", COUNT, "Fewer measurements in the window are no data.", "0")
_NO_DATA: Final = Key(
    "no_data",
    NO_DATA,
    "What no data means: the condition is false (ok), true (fire), or everything stays (keep).",
    "ok",
)
_COMPARED: Final = (_CONDITION, _THRESHOLD, _CLEAR, _MIN_COUNT, _NO_DATA)

SELECTOR: Final[tuple[Key, ...]] = _SELECTED

KINDS: Final[Mapping[str, Kind]] = {
    "threshold": Kind(
        "The statistic of a window crosses a number.",
        (*_SELECTED, _STAT, _WINDOW, *_COMPARED),
        """\
name: SlowTradeExecution
metric: trading.order.duration
where: {trading.order.type: market}
by: [trading.venue.name]
stat: p95
window: 1m
threshold: 100ms
clear: 80ms
for: 10s
min_count: 20
severity: warning
annotations: {summary: "p95 {{ value }} at {{ labels.trading_venue_name }}"}
""",
    ),
    "ratio": Kind(
        "One metric by another crosses a number. Of counters and histograms the increases are divided, of"
        " gauges their values.",
        (
            Key("numerator", _nested("`metric` and `where`"), "Above the line.", is_required=True),
            Key("denominator", _nested("`metric` and `where`"), "Below the line.", is_required=True),
            Key("stat", STAT, "Of both, where they are gauges: last, avg, min, max.", "increase; last"),
            _WINDOW,
            _CONDITION,
            Key("threshold", NUMBER, "A fraction: `0.05` or `5%`.", is_required=True),
            _CLEAR,
            Key("min_count", COUNT, "A smaller increase of the denominator is no data.", "0"),
            _NO_DATA,
        ),
        """\
name: RejectRatio
kind: ratio
numerator: {metric: trading.order.rejects, where: {trading.order.reject.origin: venue}}
denominator: {metric: trading.order.operations}
by: [trading.venue.name]
window: 5m
threshold: 5%
min_count: 20
severity: error
""",
    ),
    "absent": Kind(
        "A series that was seen, or that is expected, gave nothing for the window.",
        (
            *_SELECTED,
            Key("window", DURATION, "The silence that is too long.", "1m"),
            Key("known_for", DURATION, "How long a series that was seen is missed.", "1h"),
            Key(
                "expect",
                _nested("list of values of `by`"),
                "Groups that must be there, even if they never were: lists in the order of `by`.",
            ),
        ),
        """\
name: NoTicks
kind: absent
metric: trading.feed.messages
by: [trading.venue.name]
window: 30s
known_for: 1h
expect: [[binance]]
severity: error
""",
    ),
    "event": Kind(
        "Enough spans end, or log events come, in the window.",
        (
            Key("event", TEXT, "Name of a log event; `*` is any. Either this or `span`."),
            Key("span", TEXT, "Name of a span; `*` is any."),
            Key("where", WHERE, "On attributes, those of the resource included."),
            Key("status", choice(EventStatus), "Of a span."),
            Key("min_duration", DURATION, "Of a span."),
            Key("count", POSITIVE, "How many make an alert.", "1"),
            _WINDOW,
        ),
        """\
name: UnsafeOrderRetry
kind: event
event: trading.order.unsafe_retry
by: [trading.venue.name]
window: 5m
severity: critical
""",
    ),
    "change": Kind(
        "The statistic by the one a baseline ago crosses a number; 1 is no change.",
        (
            *_SELECTED,
            _STAT,
            _WINDOW,
            Key("baseline", DURATION, "How far back the other window is.", "1d"),
            _CONDITION,
            Key("threshold", NUMBER, "A factor: `2` is twice as much, `50%` half.", is_required=True),
            _CLEAR,
            _MIN_COUNT,
            _NO_DATA,
        ),
        """\
name: VolumeCollapsed
kind: change
metric: trading.feed.messages
stat: rate
window: 15m
baseline: 1d
condition: lt
threshold: 50%
""",
    ),
    "forecast": Kind(
        "The straight line through the window crosses a number within the horizon.",
        (
            *_SELECTED,
            _STAT,
            Key("window", DURATION, "The time that the line is drawn through.", "1h"),
            Key("horizon", DURATION, "How far ahead.", "1h"),
            *_COMPARED,
        ),
        """\
name: MemoryWillEnd
kind: forecast
metric: process.memory.usage
stat: avg
window: 30m
horizon: 2h
threshold: 2GiB
""",
    ),
    "slo": Kind(
        "The error budget of an objective burns too fast.",
        (
            Key("slo", NAME, "Name of an OpenSLO document, here or included.", is_required=True),
            Key(
                "burn",
                choice(Pace),
                "`page`: 2 % of the budget in 1 h, or 5 % in 6 h. `ticket`: 10 % in 1 d, or in 3 d.",
                "page",
            ),
            Key("windows", _nested("list of `factor`, `long`, `short`"), "Other pairs instead."),
            Key("min_count", COUNT, "Fewer events in the short window are no data.", "0"),
        ),
        """\
name: OrderAcksBurnFast
kind: slo
slo: order-acks
burn: page
min_count: 20
severity: critical
""",
    ),
}

BURN_WINDOW: Final[tuple[Key, ...]] = (
    Key("factor", NUMBER, "By how much faster than sustainable the budget burns.", is_required=True),
    Key("long", DURATION, "The longer window.", is_required=True),
    Key("short", DURATION, "The shorter one, which ends the alert soon.", is_required=True),
)

CALENDAR: Final[tuple[Key, ...]] = (
    Key("mic", NAME, "An exchange's ISO 10383 code; needs the extra `tickspan[calendars]`."),
    Key("tz", TEXT, "Zone of the hours, such as `Europe/Zurich`.", "UTC"),
    Key("days", TEXT, "`mon-fri`, `mon,wed,fri`; the day on which a session opens.", "mon-fri"),
    Key("open", TEXT, "Time of day, `08:00`."),
    Key("close", TEXT, "Time of day, `22:00`; not later than `open`: on the next day."),
    Key("holidays", TEXTS, "Dates, `2026-12-25`, on which no session opens."),
)

METRIC: Final[tuple[Key, ...]] = (
    Key("kind", choice(MetricKind), "Of its instrument.", is_required=True),
    Key("unit", TEXT, "UCUM: `s`, `By`, `1`, `{trade}`."),
    Key("attributes", ATTRIBUTES, "Of its points; empty is not known."),
    Key("bounds", _nested("list of numbers"), "Of a histogram's explicit buckets."),
)

_LINK: Final = Key("trace_link", TEXT, "Address of a trace, with `{{ trace_id }}` in it.")
_HTTP: Final[tuple[Key, ...]] = (
    _LINK,
    Key("bearer_token", TEXT, "For the header: `${env:NAME}`."),
    Key("bearer_token_file", TEXT, "The same, from a file."),
    Key("username", TEXT, "For basic authentication."),
    Key("password", TEXT, "`${env:NAME}`."),
    Key("password_file", TEXT, "The same, from a file."),
    Key("ca_file", TEXT, "Certificates that are trusted."),
    Key("timeout", NUMBER, "Seconds for one request.", "5"),
)
_URL: Final[tuple[Key, ...]] = (
    Key("url", TEXT, "Where to; a secret one as `${env:NAME}`."),
    Key("url_file", TEXT, "File that holds the address."),
)

NOTIFIERS: Final[Mapping[str, tuple[Key, ...]]] = {
    "alertmanager": (
        Key("urls", TEXTS, "Of every Alertmanager of the cluster.", is_required=True),
        *_HTTP,
    ),
    "webhook": (
        *_URL,
        Key("secret", TEXT, "Key of the HMAC that signs a message: `${env:NAME}`."),
        Key("secret_file", TEXT, "The same, from a file."),
        *_HTTP,
    ),
    "slack": (*_URL, *_HTTP),
    "email": (
        Key("host", TEXT, "Of the mail server.", is_required=True),
        Key("port", COUNT, "Of it.", "587"),
        Key("from", TEXT, "Address of the sender.", is_required=True),
        Key("to", TEXTS, "Addresses of the receivers.", is_required=True),
        Key("username", TEXT, "For the mail server."),
        Key("password", TEXT, "`${env:NAME}`."),
        Key("password_file", TEXT, "The same, from a file."),
        Key("tls", TEXT, "starttls or none.", "starttls"),
        Key("ca_file", TEXT, "Certificates that are trusted."),
        _LINK,
    ),
    "callback": (),
}
"""Options by type. What a type cannot do with them its notifier says."""
