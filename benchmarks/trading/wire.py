"""The wire: an order request is one client span, nothing of ours reaches a venue, no secret leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry.trace import SpanKind

from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.trading.place import Place
from benchmarks.trading.wiring import CLIENTS
from tickspan.received import ReceivedLog, ReceivedSpan
from tickspan.semconv.common import EXCEPTION_TYPE
from tickspan.testing.reconciliation import count_secrets

_ORDERS: Final = 12
_OPERATIONS: Final = ("submit", "cancel", "replace", "query")
_PREFIX: Final = "trading.order."
Found = Mapping[str, Mapping[str, Any]]
"""By client: what the venue got, the spans by operation, secrets exported, bytes exported."""


def wire(place: Place, progress: Progress) -> Section:
    """Each client with its own orders, then ccxt's classes."""
    found: dict[str, dict[str, Any]] = {}
    for client in CLIENTS:
        progress(client)
        with place.spool() as settings:
            said = place.nursery.turn("wiring:orders", settings, client=client, times=_ORDERS)
            _wait(place, sum(said["requests"].values()), said["logged"])
            bodies = place.server.bodies()
            secrets = said.pop("secrets")
            found[client] = said | {
                "spans": dict(calls_in(place.server.spans())),
                "logs": logged_in(place.server.logs()),
                "secrets": len(secrets),
                "leaked": count_secrets(bodies, secrets),
                "bytes": sum(map(len, bodies)),
            }
    progress("ccxt's classes")
    classes = place.nursery.turn("wiring:classes")
    return Section(
        "wire",
        (_requests(found), _classes(classes)),
        tuple(_targets(found, classes)),
        tuple(faults_of(found, classes)),
        {"clients": found, "classes": classes},
    )


def _wait(place: Place, calls: int, logged: int) -> None:
    place.arrived(
        lambda server: calls_in(server.spans()).total() >= calls and logged_in(server.logs()) >= logged
    )


def calls_in(spans: Iterable[ReceivedSpan]) -> Counter[str]:
    """CLIENT spans of order calls, by operation."""
    names = (span.name.split(" ")[0] for span in spans if span.kind is SpanKind.CLIENT)
    operations = (name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX))
    return Counter(operation for operation in operations if operation in _OPERATIONS)


def logged_in(logs: Iterable[ReceivedLog]) -> int:
    """Exceptions that the program has logged, with their type."""
    return sum(EXCEPTION_TYPE in log.attributes and not log.event_name for log in logs)


def faults_of(found: Found, classes: Mapping[str, int]) -> Iterable[str]:
    """What must not be, in words."""
    for client, said in found.items():
        for operation in sorted({*said["requests"], *said["spans"]}):
            sent, told = (said[what].get(operation, 0) for what in ("requests", "spans"))
            if sent != told:
                yield f"wire, {client}: {told} client spans of {sent} {operation} requests"
        if not said["requests"]:
            yield f"wire, {client}: the venue got no order"
        if said["propagated"]:
            yield f"wire, {client}: {said['propagated']} headers of ours at the venue"
        if said["logs"] != said["logged"]:
            yield f"wire, {client}: {said['logs']} of {said['logged']} logged exceptions came"
        if said["leaked"]:
            yield f"wire, {client}: {said['leaked']} secrets exported"
    if classes["different"]:
        yield f"wire, ccxt's classes: {classes['different']} entries are other objects afterwards"
    if not classes["wrapped"]:
        yield "wire, ccxt's classes: nothing was wrapped"


def _requests(found: Found) -> Table:
    rows = tuple(
        (
            client,
            *(
                f"{said['requests'].get(operation, 0)} : {said['spans'].get(operation, 0)}"
                for operation in ("submit", "query", "cancel")
            ),
            f"{said['logs']} of {said['logged']}",
            f"{said['propagated']} in {said['sent']}",
            f"{said['leaked']} of {said['secrets']}",
            f"{said['bytes'] / 1024:,.0f}",
        )
        for client, said in found.items()
    )
    columns = (
        "client",
        "submit",
        "query",
        "cancel",
        "exceptions logged",
        "headers of ours in requests",
        "secrets in what left",
        "KiB that left",
    )
    note = (
        "Order requests at the venue : client spans that arrived. A quarter of the orders is refused, a "
        "quarter answered by HTTP 504; the program logs each exception. Headers: traceparent, tracestate, "
        "baggage, though the program has a span and baggage. Secrets: API key, secret, and every signature "
        "that the venue got, as they are, in hex, base64 and percent-encoding, searched in all bytes sent to "
        "the back end."
    )
    return Table("Order requests, spans and secrets, with tickspan-http on", columns, rows, note)


def _classes(classes: Mapping[str, int]) -> Table:
    columns = ("exchanges", "classes", "entries", "wrapped", "in classes", "other objects afterwards")
    names = ("exchanges", "classes", "entries", "wrapped", "wrapped_classes", "different")
    row = tuple(f"{classes[name]:,}" for name in names)
    return Table("ccxt's classes in three flavours, wrapped and unwrapped", columns, (row,))


def _targets(found: Found, classes: Mapping[str, int]) -> Iterable[Target]:
    sent, told = (sum(sum(said[what].values()) for said in found.values()) for what in ("requests", "spans"))
    is_one_to_one = all(said["requests"] == said["spans"] for said in found.values())
    yield Target("order requests : client spans", "tickspan", "1 : 1", f"{sent} : {told}", is_one_to_one)
    propagated, leaked = (sum(said[what] for said in found.values()) for what in ("propagated", "leaked"))
    requests = sum(said["sent"] for said in found.values())
    found_there = f"{propagated} in {requests} requests"
    yield Target("headers of ours at the venue", "tickspan", "0", found_there, not propagated)
    yield Target("secrets exported", "tickspan", "0", f"{leaked}", not leaked)
    yield Target(
        "ccxt's entries that are other objects after unwrapping",
        "tickspan",
        "0",
        f"{classes['different']} of {classes['entries']:,}",
        not classes["different"],
    )
