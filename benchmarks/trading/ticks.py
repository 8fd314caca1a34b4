"""The tick path: what a market data message costs, beside what the stock SDK's calls cost in the same run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.pipeline.figures import percentile, ratios, spread_of
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, multiple
from benchmarks.sidebyside.costs import Spread
from benchmarks.trading import stock, ticking
from benchmarks.trading.frames import KINDS
from benchmarks.trading.place import PURE, Place, in_turns, missing, totals
from tickspan.testing.otlp import OtlpServer

_SIZE: Final = 100
_FORMS: Final[Mapping[str, Mapping[str, str]]] = {"tickspan": {}, "tickspan-pure": PURE}
_GOALS: Final = {"tickspan": 40, "tickspan-pure": 20}
_LEAST: Final = 20
_MICROSECOND: Final = 1_000
Costs = dict[str, dict[int, float]]
"""Nanoseconds of an operation by round; "tickspan: ticker" and the like."""


def tick_path(place: Place, progress: Progress) -> Section:
    """All contenders, in turns."""
    frames = place.nursery.turn("frames:record")
    costs: Costs = {}
    faults: list[str] = []
    libraries: dict[str, str] = {}
    for number, name in in_turns(("bare", "stock", *_FORMS), place.scale.rounds):
        progress(f"round {number + 1} of {place.scale.rounds}: {name}")
        said, wrong = _turn(place, name, frames)
        faults += [f"ticks, {name}: {fault}" for fault in wrong]
        libraries |= {name: said["library"]} if "library" in said else {}
        for operation, batches in said["timed"].items():
            costs.setdefault(f"{name}: {operation}", {})[number] = percentile(batches, 0.1)
    return Section(
        "ticks",
        (_peers(costs, place.scale.rounds), _path(costs)),
        tuple(_targets(costs)),
        tuple(faults),
        {"costs": costs, "libraries": libraries},
    )


def _turn(place: Place, name: str, frames: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    length: dict[str, Any] = {"frames": frames, "batches": place.scale.batches, "size": _SIZE}
    if name == "bare":
        return place.nursery.turn("ticking:bare", **length), []
    with place.spool() as settings:
        if name == "stock":
            said = place.nursery.turn("ticking:stock", endpoint=place.server.endpoint, **length)
            return said, _stock_faults(place, said["done"])
        said = place.nursery.turn("ticking:ours", {**settings, **_FORMS[name]}, **length)
        return said, _our_faults(place, said["done"])


def _stock_faults(place: Place, done: Mapping[str, int]) -> list[str]:
    """Each span by its number, once, with its attributes; and what the two instruments add up to."""
    place.arrived(lambda server: len(server.spans()) >= done["spans"])
    whole = stock.whole(place.server.spans(), done["spans"])
    metrics = place.server.metrics()
    found = {
        "spans": whole,
        "counter": totals(metrics, ticking.COUNTER),
        "histogram": totals(metrics, ticking.HISTOGRAM),
    }
    return missing(found, done)


def _our_faults(place: Place, done: Mapping[str, int]) -> list[str]:
    """Each message in the counter of its stream, in its lag and, where it was delivered, in its queue."""

    def found(server: OtlpServer) -> dict[str, float]:
        metrics = server.metrics()
        return {
            channel: totals(metrics, "trading.feed.messages", trading__feed__channel=channel)
            for channel in done
        }

    place.arrived(lambda server: not missing(found(server), done))
    lags = {name: count for name, count in done.items() if name != "connection"}
    metrics = place.server.metrics()
    lag = {name: totals(metrics, "trading.feed.lag", trading__feed__channel=name) for name in lags}
    return [*missing(found(place.server), done), *(f"lag of {said}" for said in missing(lag, lags))]


def _peers(costs: Costs, rounds: int) -> Table:
    rows = [
        ("empty loop", _micro(costs, "stock: empty loop", None), "", ""),
        _peer_row(costs, "stock span, recorded", "span"),
        _peer_row(costs, "stock span, sampled out", "sampled out"),
        _peer_row(costs, "stock Counter.add", "counter"),
        _peer_row(costs, "stock Histogram.record", "histogram"),
        *(
            (
                f"stock span for each {kind} message",
                _micro(costs, f"stock: {kind} and span", f"stock: {kind}"),
                _over_span(costs, f"stock: {kind} and span", f"stock: {kind}"),
                "",
            )
            for kind in KINDS
        ),
        *(
            _ours_row(costs, f"{name}: the core's part, by itself", f"{name}: core", f"{name}: empty loop")
            for name in _FORMS
        ),
    ]
    columns = ("what", "caller CPU µs", "x a stock span", "1 / x")
    note = (
        "10th percentile of a turn's batches of 100, less the empty loop's or the bare frames' of the same "
        "round; µs is the median of the rounds, x the median (10th … 90th percentile) of ratios taken "
        "round by round. A stock span beside each message costs twice what it costs in a loop of its own: "
        "between two spans, the processor has forgotten them."
    )
    return Table(f"Stock calls, and the core's part of a tick ({rounds} rounds)", columns, tuple(rows), note)


def _peer_row(costs: Costs, label: str, operation: str) -> tuple[str, str, str, str]:
    own, empty = f"stock: {operation}", "stock: empty loop"
    ratio = "1" if operation == "span" else _over_span(costs, own, empty)
    return (label, _micro(costs, own, empty), ratio, "")


def _ours_row(costs: Costs, label: str, own: str, base: str) -> tuple[str, str, str, str]:
    spread = _ratio(costs, own, base, "stock: span", "stock: empty loop")
    share = f"1/{1 / spread.median:.1f}" if spread is not None and spread.median > 0 else "-"
    return (label, _micro(costs, own, base), multiple(spread), share)


def _path(costs: Costs) -> Table:
    rows: list[tuple[str, ...]] = []
    for kind in (*KINDS, "watch"):
        label = "await watch_ticker(…), loop and all" if kind == "watch" else f"a {kind} frame"
        rows.append((f"{label}: ccxt.pro itself", _micro(costs, f"bare: {kind}", None), "", ""))
        for name in _FORMS:
            own, base = f"{name}: {kind}", f"bare: {kind}"
            peer = "ticker" if kind == "watch" else kind
            beside = _ratio(costs, own, base, f"stock: {peer} and span", f"stock: {peer}")
            alone = _ratio(costs, own, base, "stock: span", "stock: empty loop")
            rows.append(
                (f"{label}: {name} adds", _micro(costs, own, base), multiple(beside), multiple(alone))
            )
    columns = ("what", "caller CPU µs", "x a stock span per message", "x a stock span in a loop of its own")
    return Table("The tick path of ccxt.pro, socket left out", columns, tuple(rows))


def _targets(costs: Costs) -> list[Target]:
    targets: list[Target] = []
    for name in _FORMS:
        goals = sorted({_LEAST, _GOALS[name]})
        wanted = " (goal ".join(f"≤ 1/{goal}" for goal in goals) + (")" if len(goals) > 1 else "")
        core = _ratio(costs, f"{name}: core", f"{name}: empty loop", "stock: span", "stock: empty loop")
        targets.append(_target("the core's part of a tick, of a stock span", name, wanted, core, goals[0]))
        ticker = _ratio(costs, f"{name}: ticker", "bare: ticker", "stock: ticker and span", "stock: ticker")
        targets.append(
            _target("a ccxt.pro ticker, of a stock span per message", name, wanted, ticker, goals[0])
        )
    return targets


def _target(what: str, name: str, wanted: str, found: Spread | None, goal: int) -> Target:
    if found is None:
        return Target(what, name, wanted, "not measured", None)
    return Target(
        what, name, wanted, f"1/{1 / found.median:.1f} = {multiple(found)}", found.median <= 1 / goal
    )


def _ratio(costs: Costs, own: str, base: str, peer: str, peer_base: str) -> Spread | None:
    mine, theirs = _added(costs, own, base), _added(costs, peer, peer_base)
    return spread_of(ratios(mine, theirs))


def _over_span(costs: Costs, own: str, base: str) -> str:
    return multiple(_ratio(costs, own, base, "stock: span", "stock: empty loop"))


def _added(costs: Costs, own: str, base: str) -> dict[int, float]:
    below = costs.get(base, {})
    return {number: cost - below[number] for number, cost in costs.get(own, {}).items() if number in below}


def _micro(costs: Costs, own: str, base: str | None) -> str:
    values: Sequence[float] = tuple(
        (_added(costs, own, base) if base is not None else costs.get(own, {})).values()
    )
    return f"{median(values) / _MICROSECOND:,.2f}" if values else "-"
