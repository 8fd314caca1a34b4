"""How many Python functions governing a pool adds to a checkout: counted, not timed."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
import sqlalchemy
from tickspan_spool import twins

from tickspan.pools import govern, telling
from tickspan.pools.registry import registry
from tickspan.providers import MeterProvider
from tickspan.testing.ceilings import calls_of
from tickspan.testing.sink import MemorySink

pytestmark = pytest.mark.perf
Ask = Callable[[], None]
UNGOVERNED = 2
CEILINGS = {"compiled": (3, 6), "pure": (13, 16)}[twins.implementation()]
"""Governed, and governed fairly, by the form of the hot modules that runs."""


@pytest.fixture
def providers() -> Generator[None]:
    """Meters of ours, whose series are bound."""
    meters = MeterProvider(sink=MemorySink(), shutdown_on_exit=False)
    telling.use(meters, None)
    yield
    registry.clear()
    telling.use(None, None)
    meters.shutdown()


@pytest.fixture
def check_out(providers: None) -> Generator[Callable[..., Ask]]:
    """Makes what takes a connection and gives it back, of a pool that is governed or not."""
    engines: list[sqlalchemy.Engine] = []

    def make(name: str, *, is_fair: bool = False) -> Ask:
        engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.QueuePool)
        engines.append(engine)
        if name:
            govern(engine, name=name, is_fair=is_fair)
        ask = lambda: engine.raw_connection().close()  # noqa: E731 - what is counted
        ask()
        return ask

    yield make
    for engine in engines:
        engine.dispose()


def test_a_governed_checkout(check_out: Callable[..., Ask]) -> None:
    bare = calls_of(check_out(""))
    governed, fair = check_out("governed"), check_out("fair", is_fair=True)
    assert calls_of(governed) - bare <= CEILINGS[0]
    assert calls_of(fair) - bare <= CEILINGS[1]


def test_a_pool_that_is_not_governed_in_a_process_where_another_is(check_out: Callable[..., Ask]) -> None:
    ungoverned = check_out("")
    bare = calls_of(ungoverned)
    check_out("governed")
    assert calls_of(ungoverned) - bare <= UNGOVERNED
