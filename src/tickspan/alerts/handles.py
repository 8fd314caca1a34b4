"""Rules in code: added and removed while the program runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tickspan.alerts import process
from tickspan.alerts.choices import thresholds_of
from tickspan.alerts.engine import ActiveAlert
from tickspan.alerts.notice import Notice
from tickspan.alerts.rulebook import Listener, Rulebook
from tickspan.alerts.wiring import wired
from tickspan.analysis.rules.document import read
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.providers.meter import MeterProvider
from tickspan.recording._impl import metering

if TYPE_CHECKING:
    import asyncio

__all__ = ["RuleHandle", "active", "add_rule", "begin", "on_change", "watch_file"]

_KINDS: Final = {
    metering.LAST_VALUE: MetricKind.GAUGE,
    metering.BUCKETS: MetricKind.HISTOGRAM,
    metering.EXPONENTIAL: MetricKind.HISTOGRAM,
}
_books: list[Rulebook] = []


class RuleHandle:
    """A rule that a program has added."""

    def __init__(self, name: str, rules: RuleSet) -> None:
        self.name = name
        self._rules = rules

    def __repr__(self) -> str:
        return f"<RuleHandle '{self.name}', {len(self.alerts)} alerts>"

    @property
    def alerts(self) -> tuple[ActiveAlert, ...]:
        """Its alerts that are pending or firing."""
        return tuple(alert for alert in active() if alert.rule.name == self.name)

    def remove(self) -> None:
        """Evaluate the rule no more; its alerts end. A second call does nothing."""
        if _book().remove(self.name):
            _refresh()


def add_rule(
    name: str,
    *,
    on_change: Callable[[Notice], Any] | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
    metric_kind: str | None = None,
    metric_unit: str | None = None,
    **keys: Any,
) -> RuleHandle:
    """Evaluate one more rule in this process.

    It may come before telemetry runs: it is evaluated from then on. A callback is no risk control: it comes
    after the fact, by way of a queue.

        add_rule("HighTradeLatency", metric="…", condition="gt", threshold="100ms", stat="p95", window="1m")

    Args:
        name: of the alert.
        on_change: called when the alert fires and when it ends, in a thread of its own.
        loop: that it runs in, when it is a coroutine function.
        metric_kind: counter, updowncounter, gauge or histogram, for a metric that neither the catalogue nor
            an instrument that there is tells about.
        metric_unit: UCUM; for the same.
        keys: those of a rule in a rule file. What is a Python keyword has an underscore behind: `for_`.

    Raises:
        RuleFileError: the rule cannot be understood; `problems` lists why.
        ValueError: the program has added a rule of that name before.
    """
    rules = _read(
        {"name": name, **{key.rstrip("_"): value for key, value in keys.items()}}, metric_kind, metric_unit
    )
    listener = None if on_change is None else Listener(f"rule {name}", on_change, loop)
    _book().add(rules, listener)
    _refresh()
    return RuleHandle(name, rules)


def on_change(
    function: Callable[[Notice], Any],
    *,
    name: str = "callback",
    loop: asyncio.AbstractEventLoop | None = None,
) -> None:
    """Tell a function of this program of alerts: those whose rules notify everybody, or this name.

    Args:
        function: called with each notice, in a thread of its own.
        name: of a notifier of the type `callback` in the rule file.
        loop: that it runs in, when it is a coroutine function.
    """
    _book().listen(Listener(name, function, loop))
    _refresh()


def active() -> tuple[ActiveAlert, ...]:
    """Alerts of this process that are pending or firing; none where nothing is evaluated."""
    tier = process.running()
    return () if tier is None else tier.active()


def watch_file(path: Path | None) -> None:
    """Evaluate a rule file, and what the program has added or will add: the distribution's call at start.

    Raises:
        RuleFileError: the file has a mistake, and settings ask for strictness.
    """
    wiring = wired()
    if wiring is not None:
        book = Rulebook(path, thresholds_of(wiring.settings.thresholds), is_strict=wiring.settings.strict)
        book.take_over(_books[0] if _books else None)
        _books[:] = [book]
        begin()


def begin() -> None:
    """Telemetry runs: evaluate what there is."""
    if _books:
        process.start(_books[0])


def _book() -> Rulebook:
    if not _books:
        wiring = wired()
        thresholds = {} if wiring is None else thresholds_of(wiring.settings.thresholds)
        _books.append(Rulebook(None, thresholds))
    return _books[0]


def _refresh() -> None:
    tier = process.start(_book())
    if tier is not None:
        tier.refresh()


def _read(rule: Mapping[str, Any], kind: str | None, unit: str | None) -> RuleSet:
    from tickspan.alerts.file import RuleFileError, catalogue_facts  # brings the catalogue with it

    document: dict[str, Any] = {"version": 1, "rules": [rule]}
    metric = str(rule.get("metric", ""))
    if kind is not None:
        document["metrics"] = {metric: {"kind": kind, "unit": unit or ""}}
    facts = {**_instruments(), **catalogue_facts()}
    rules, problems = read(document, facts)
    if problems or not rules.rules:
        raise RuleFileError(problems)
    return rules


def _instruments() -> dict[str, MetricFact]:
    """What the instruments that there are tell."""
    wiring = wired()
    provider = None if wiring is None else wiring.meter_provider
    if not isinstance(provider, MeterProvider):
        return {}
    facts: dict[str, MetricFact] = {}
    for stream in provider.streams():
        kind, is_monotonic, _, bounds, unit = stream.shape
        of_sum = MetricKind.COUNTER if is_monotonic else MetricKind.UPDOWNCOUNTER
        facts[stream.name] = MetricFact(stream.name, _KINDS.get(kind, of_sum), unit, (), bounds or None)
    return facts
