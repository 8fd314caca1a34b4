"""The order path: what one order's whole life costs, beside four spans of the stock SDK in the same run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.pipeline.figures import percentile, ratios, spread_of
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.sidebyside.costs import Spread
from benchmarks.trading import stock
from benchmarks.trading.frames import client_id_of, execution_id_of
from benchmarks.trading.ordering import BATCH, SPANS_PER_ORDER, calm_agents_ns
from benchmarks.trading.place import PURE, Place, in_turns
from tickspan.received import ReceivedLog, ReceivedSpan
from tickspan.semconv import trading as names
from tickspan.testing.otlp import OtlpServer

FORMS: Final[Mapping[str, Mapping[str, str]]] = {"tickspan": {}, "tickspan-pure": PURE}
CORES: Final[Mapping[str, str]] = {f"{form}: core": form for form in FORMS}
CLOCKS: Final = ("caller", "process", "process and agent")
LIFE: Final = Counter(
    {
        "trading.feed.message": 1,
        "trading.strategy.decision": 1,
        "trading.order.submit binance": 1,
        "trading.order.event partially_filled": 1,
        "trading.order.event filled": 1,
        "trading.order.lifecycle": 1,
    }
)
"""The spans of an order that was decided on a tick and filled in two parts."""
OF_CORE: Final = LIFE - Counter[str](("trading.feed.message", "trading.strategy.decision"))
EVENTS: Final = ("trading.order.new", "trading.order.ack", "trading.order.partial_fill", "trading.order.fill")
_MICROSECOND: Final = 1_000
Costs = dict[str, dict[str, dict[int, float]]]
"""Nanoseconds of an order by clock, contender and round."""


def order_lives(place: Place, progress: Progress) -> Section:
    """All contenders, in turns."""
    frames = place.nursery.turn("frames:record")
    costs: Costs = {clock: defaultdict(dict) for clock in CLOCKS}
    faults: list[str] = []
    libraries: dict[str, str] = {}
    for number, name in in_turns(("empty", "spans", "bare", "beside", *FORMS, *CORES), place.scale.rounds):
        progress(f"round {number + 1} of {place.scale.rounds}: {name}")
        said, agent_ns, wrong = _turn(place, name, frames)
        faults += [f"orders, {name}: {fault}" for fault in wrong]
        libraries |= {name: said["library"]} if "library" in said else {}
        costs["caller"][name][number] = percentile(said["caller"], 0.1)
        costs["process"][name][number] = said["total"]
        costs["process and agent"][name][number] = said["total"] + agent_ns
    return Section(
        "orders",
        (_peers(costs, place.scale.rounds), *_lives(costs, place.scale.orders)),
        tuple(_targets(costs)),
        tuple(faults),
        {"costs": {clock: dict(found) for clock, found in costs.items()}, "libraries": libraries},
    )


def _turn(place: Place, name: str, frames: Mapping[str, Any]) -> tuple[dict[str, Any], float, list[str]]:
    """What a contender says, nanoseconds of its agent for each order, and what did not come as it was."""
    length: dict[str, Any] = {"batches": place.scale.orders // BATCH}
    if name in ("bare", "beside", *FORMS):
        length["frames"] = frames
    if name in ("empty", "bare"):
        return place.nursery.turn(f"ordering:{name}", **length), 0, []
    with place.spool() as settings:
        if name in ("spans", "beside"):
            said = place.nursery.turn(f"ordering:{name}", endpoint=place.server.endpoint, **length)
            return said, 0, _lost(place, said["spans"])
        task, form, life = ("core", CORES[name], OF_CORE) if name in CORES else ("ours", name, LIFE)
        said = place.nursery.turn(f"ordering:{task}", {**settings, **FORMS[form]}, **length)
        orders, wanted = said["orders"], said["orders"] * life.total()
        place.arrived(lambda server: len(server.spans()) >= wanted and _is_audited(server, orders))
        agent_ns = calm_agents_ns(settings["TICKSPAN_SPOOL_DIR"]) - said["agent_ns"]
        wrong = [*untold(place.server.spans(), orders, life), *unaudited(place.server.logs(), orders)]
        return said, agent_ns / place.scale.orders, wrong


def _lost(place: Place, count: int) -> list[str]:
    place.arrived(lambda server: len(server.spans()) >= count)
    whole = stock.whole(place.server.spans(), count)
    return [] if whole == count else [f"{whole:,} spans came of {count:,}"]


def _is_audited(server: OtlpServer, orders: int) -> bool:
    return len([log for log in server.logs() if log.event_name in EVENTS]) >= orders * len(EVENTS)


def untold(spans: Iterable[ReceivedSpan], orders: int, life: Mapping[str, int] = LIFE) -> list[str]:
    """What is missing from, or wrong in, the traces of the orders 1 to `orders`, in words."""
    traces: defaultdict[str, list[ReceivedSpan]] = defaultdict(list)
    for span in spans:
        if span.name in LIFE:
            traces[span.trace_id].append(span)
    of_order: defaultdict[str, list[list[ReceivedSpan]]] = defaultdict(list)
    for trace in traces.values():
        for client_id in _texts(trace, names.ORDER_CLIENT_ID):
            of_order[client_id].append(trace)
    wrong = [
        fault
        for number in range(1, orders + 1)
        if (fault := _fault_of(of_order.get(client_id_of(number), []), number, life))
    ]
    return [f"{len(wrong):,} of {orders:,} orders: {wrong[0]}"] if wrong else []


def _fault_of(traces: Sequence[Sequence[ReceivedSpan]], number: int, life: Mapping[str, int]) -> str | None:
    if len(traces) != 1:
        return f"{client_id_of(number)} is in {len(traces)} traces"
    (trace,) = traces
    if (told := Counter(span.name for span in trace)) != life:
        return f"{client_id_of(number)} is told as {dict(told)}"
    ids = _texts(trace, names.EXECUTION_ID)
    if ids != {str(execution_id_of(number, part)) for part in (1, 2)}:
        return f"{client_id_of(number)} has the executions {sorted(ids)}"
    (end,) = (span for span in trace if span.name == "trading.order.lifecycle")
    said = (end.attributes.get(names.ORDER_STATUS), end.attributes.get(names.ORDER_EXECUTIONS))
    return None if said == ("filled", 2) else f"{client_id_of(number)} ended as {said}"


def _texts(spans: Iterable[ReceivedSpan], key: str) -> set[str]:
    """What an attribute is in those that have it."""
    return {str(span.attributes[key]) for span in spans if key in span.attributes}


def unaudited(logs: Iterable[ReceivedLog], orders: int) -> list[str]:
    """Which of the four audit events of an order did not come once, in words."""
    told = Counter((log.event_name, log.attributes.get(names.ORDER_CLIENT_ID)) for log in logs)
    wrong = [
        (event, client_id_of(number), count)
        for number in range(1, orders + 1)
        for event in EVENTS
        if (count := told[event, client_id_of(number)]) != 1
    ]
    if not wrong:
        return []
    event, client_id, count = wrong[0]
    return [f"{len(wrong):,} audit events: {event} of {client_id} came {count} times"]


def _peers(costs: Costs, rounds: int) -> Table:
    rows = [
        ("empty loop", *(_micro(costs, clock, "empty", None) for clock in CLOCKS[:2]), ""),
        *(
            (
                label,
                *(f"{_micro(costs, clock, own, base, SPANS_PER_ORDER)} µs" for clock in CLOCKS[:2]),
                _times(_ratio(costs, "caller", own, base, "spans", "empty")),
            )
            for label, own, base in (
                ("one of four stock spans, in a loop of their own", "spans", "empty"),
                ("one of four stock spans, after each order", "beside", "bare"),
            )
        ),
    ]
    note = (
        "The calling thread's time is the 10th percentile of a turn's batches of 20 orders; that of the "
        "process is all its threads' until everything has been sent, without what prepared the frames. Each "
        "less the empty loop's, or the bare orders', of the same round; µs is the median of the rounds."
    )
    columns = ("what", "caller CPU", "process CPU", "x, caller, a span in a loop of its own")
    return Table(f"Stock spans ({rounds} rounds)", columns, tuple(rows), note)


def _lives(costs: Costs, orders: int) -> Iterable[Table]:
    for clock in CLOCKS:
        rows = [("ccxt.pro itself", _micro(costs, clock, "bare", None), "", "")]
        rows += [
            (
                label,
                _micro(costs, clock, own, base),
                _times(_in_spans(costs, clock, own, base, "beside", "bare")),
                _times(_in_spans(costs, clock, own, base, "spans", "empty")),
            )
            for label, own, base in (
                *((f"{form} adds", form, "bare") for form in FORMS),
                *((f"{name}'s part, by itself", name, "empty") for name in CORES),
            )
        ]
        columns = ("what", "µs", "stock spans after each order", "stock spans in a loop of their own")
        title = f"One order's life, {clock} CPU ({orders:,} orders a turn)"
        yield Table(title, columns, tuple(rows))


def _targets(costs: Costs) -> Iterable[Target]:
    paths = (
        *(("an order's life by ccxt.pro", form, form, "bare") for form in FORMS),
        *(("the core's part of it", CORES[name], name, "empty") for name in CORES),
    )
    for clock in CLOCKS:
        for what, form, own, base in paths:
            found = _in_spans(costs, clock, own, base, "beside", "bare")
            alone = _in_spans(costs, clock, own, base, "spans", "empty")
            yield Target(
                f"{what}, {clock} CPU, in stock spans after each order",
                form,
                f"< {SPANS_PER_ORDER}",
                f"{_times(found)}; in spans of a loop of their own {_times(alone)}",
                None if found is None else found.median < SPANS_PER_ORDER,
            )


def _in_spans(costs: Costs, clock: str, own: str, base: str, peer: str, peer_base: str) -> Spread | None:
    """How many stock spans cost as much, round by round."""
    found = _ratio(costs, clock, own, base, peer, peer_base)
    if found is None:
        return None
    return Spread(*(SPANS_PER_ORDER * value for value in (found.p10, found.median, found.p90)))


def _ratio(costs: Costs, clock: str, own: str, base: str, peer: str, peer_base: str) -> Spread | None:
    return spread_of(ratios(_added(costs, clock, own, base), _added(costs, clock, peer, peer_base)))


def _added(costs: Costs, clock: str, own: str, base: str) -> dict[int, float]:
    below = costs[clock].get(base, {})
    return {n: cost - below[n] for n, cost in costs[clock].get(own, {}).items() if n in below}


def _micro(costs: Costs, clock: str, own: str, base: str | None, parts: int = 1) -> str:
    values = _added(costs, clock, own, base) if base is not None else costs[clock].get(own, {})
    return f"{median(values.values()) / parts / _MICROSECOND:,.2f}" if values else "-"


def _times(spread: Spread | None) -> str:
    return "-" if spread is None else f"{spread.median:.2f} ({spread.p10:.2f} … {spread.p90:.2f})"
