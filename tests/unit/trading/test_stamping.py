"""What a member's stamp makes of a call's arguments, and what a broken one must not."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry._logs import NoOpLogger
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer

from tickspan.instrumentation import Workbench, suppressed
from tickspan.recording import strict
from tickspan.trading.stamping import new_client_id, stamped, with_argument


def place(client: str, symbol: str, name: str | None = None) -> tuple[Any, ...]:
    return client, symbol, name


def named(_client: Any, args: tuple[Any, ...], kwargs: Any, _new_id: Any) -> Any:
    return with_argument(args, kwargs, 1, "name", "ours")


def broken(_client: Any, _args: Any, _kwargs: Any, _new_id: Any) -> Any:
    raise ValueError("a fault of ours")


@pytest.fixture
def bench() -> Workbench:
    return Workbench("test", NoOpTracer(), NoOpMeter("test"), NoOpLogger("test"), {})


def test_an_argument_stands_where_the_caller_has_put_it(bench: Workbench) -> None:
    call = stamped(place, named, bench, "place")
    assert call("me", "A/B") == call("me", "A/B", None) == call("me", symbol="A/B") == ("me", "A/B", "ours")


def test_a_broken_stamp_leaves_the_call_as_it_is(bench: Workbench) -> None:
    with strict(value=False):
        assert stamped(place, broken, bench, "place")("me", "A/B") == ("me", "A/B", None)


def test_nothing_is_stamped_while_nothing_is_told(bench: Workbench) -> None:
    call = stamped(place, named, bench, "place")
    with suppressed():
        while_suppressed = call("me", "A/B")
    bench.undo()
    assert (while_suppressed, call("me", "A/B")) == (("me", "A/B", None),) * 2


def test_no_two_ids_are_the_same() -> None:
    assert len({new_client_id() for _ in range(1_000)}) == 1_000
