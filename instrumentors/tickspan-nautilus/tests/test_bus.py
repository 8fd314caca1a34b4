"""What hangs on a real message bus, and how it comes off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nautilus_trader.common.component import MessageBus, TestClock
from nautilus_trader.model.identifiers import TraderId
from tickspan_nautilus.bus import Wire

Handler = Callable[[Any], None]


@pytest.fixture
def bus() -> Any:
    return MessageBus(TraderId("TESTER-001"), TestClock())


def writing(lines: list[str], name: str) -> Handler:
    def handle(message: Any) -> None:
        lines.append(f"{name} {message}")

    return handle


def around(lines: list[str], name: str) -> Callable[[Handler], Handler]:
    def make(original: Handler) -> Handler:
        def handle(message: Any) -> None:
            lines.append(f"{name} {message}")
            original(message)

        return handle

    return make


def test_an_endpoint_is_wrapped_and_its_own_handler_comes_back(bus: Any) -> None:
    lines: list[str] = []
    own, wire = writing(lines, "own"), Wire()
    bus.register("Engine.execute", own)
    wire.around(bus, "Engine.execute", own, around(lines, "inner"))
    wire.around(bus, "Engine.execute", own, around(lines, "outer"))
    bus.send("Engine.execute", 1)
    wire.cut(bus)
    bus.send("Engine.execute", 2)
    bus.deregister("Engine.execute", own)  # raises if another handler is there
    assert lines == ["outer 1", "inner 1", "own 1", "own 2"]


def test_somebody_elses_handler_stays(bus: Any) -> None:
    lines: list[str] = []
    own, theirs, wire = writing(lines, "own"), writing(lines, "theirs"), Wire()
    bus.register("Engine.execute", theirs)
    wire.around(bus, "Engine.execute", own, around(lines, "ours"))
    bus.send("Engine.execute", 1)
    wire.cut(bus)
    bus.send("Engine.execute", 2)
    assert lines == ["theirs 1", "theirs 2"]


def test_a_handler_that_replaced_ours_stays(bus: Any) -> None:
    lines: list[str] = []
    own, theirs, ours, wire = writing(lines, "own"), writing(lines, "theirs"), list[Handler](), Wire()

    def make(original: Handler) -> Handler:
        ours.append(around(lines, "ours")(original))
        return ours[0]

    bus.register("Engine.execute", own)
    wire.around(bus, "Engine.execute", own, make)
    bus.deregister("Engine.execute", ours[0])
    bus.register("Engine.execute", theirs)
    wire.cut(bus)
    bus.send("Engine.execute", 1)
    assert lines == ["theirs 1"]


def test_an_endpoint_that_is_not_there_is_left_alone(bus: Any) -> None:
    lines: list[str] = []
    wire = Wire()
    wire.around(bus, "Engine.execute", writing(lines, "own"), around(lines, "ours"))
    wire.cut(bus)
    assert bus.endpoints() == []


def test_a_bus_that_was_disposed_of_is_left_alone(bus: Any) -> None:
    lines: list[str] = []
    own, wire = writing(lines, "own"), Wire()
    bus.register("Engine.execute", own)
    wire.around(bus, "Engine.execute", own, around(lines, "ours"))
    wire.listen(bus, "events.order.*", writing(lines, "ours"))
    bus.dispose()
    before = (bus.endpoints(), len(bus.subscriptions()))
    wire.cut(bus)
    bus.publish("events.order.S-1", 1)
    assert (lines, before[0] == bus.endpoints()) == ([], True)


def test_a_listener_hears_first_and_only_until_it_is_cut(bus: Any) -> None:
    lines: list[str] = []
    wire = Wire()
    bus.subscribe("events.order.S-1", writing(lines, "strategy"))
    bus.subscribe("events.order.*", writing(lines, "portfolio"), 10)
    wire.listen(bus, "events.order.*", writing(lines, "ours"))
    bus.publish("events.order.S-1", 1)
    wire.cut(bus)
    bus.publish("events.order.S-1", 2)
    assert lines == ["ours 1", "portfolio 1", "strategy 1", "portfolio 2", "strategy 2"]
