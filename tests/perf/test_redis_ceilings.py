"""How many Python functions a call of redis-py enters on top of it: counted, the same on every machine.

A ceiling is what was counted, with a little head room for other versions of Python and the library.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
import redis
from tickspan_redis import RedisInstrumentor
from tickspan_spool import twins

from tickspan.instrumentation import suppressed
from tickspan.providers import MeterProvider, TracerProvider
from tickspan.testing.ceilings import calls_of
from tickspan.testing.sink import MemorySink

pytestmark = [pytest.mark.perf, pytest.mark.integration]

CEILINGS = {
    "compiled": {"GET": 40, "pipeline": 42, "silent": 18},
    "pure": {"GET": 92, "pipeline": 94, "silent": 28},
}[twins.implementation()]
"""By the form of the hot modules that runs. In the pure form each step of theirs is a function, too."""
PIPED = 10
Ask = Callable[[], Any]


@pytest.fixture
def client(redis_server: str) -> Generator[Any]:
    """A blocking client, connected."""
    with redis.Redis.from_url(redis_server) as connected:
        connected.set("price", "1")
        yield connected


@pytest.fixture
def get(client: Any) -> Ask:
    """Asks for one key."""
    return lambda: client.get("price")


@pytest.fixture
def pipe(client: Any) -> Ask:
    """Asks for ten keys in one pipeline."""

    def ask() -> Any:
        pipeline = client.pipeline(transaction=False)
        for _ in range(PIPED):
            pipeline.get("price")
        return pipeline.execute()

    return ask


@pytest.fixture
def switch_on(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Switches spans and metrics on until the test is over, on providers of ours."""

    def instrument() -> None:
        sink = MemorySink()
        tracers = TracerProvider(shutdown_on_exit=False, sink=sink)
        meters = MeterProvider(shutdown_on_exit=False, sink=sink)
        RedisInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters)
        for ending in (meters.shutdown, tracers.shutdown, RedisInstrumentor().uninstrument):
            request.addfinalizer(ending)

    return instrument


def test_a_told_command(get: Ask, switch_on: Callable[[], None]) -> None:
    """37 in the compiled form: 19 tell it, 16 measure its pool, its peer is noted, `MemorySink` keeps it."""
    bare = calls_of(get)
    switch_on()
    assert calls_of(get) - bare <= CEILINGS["GET"]


def test_a_told_pipeline_costs_what_one_command_does(pipe: Ask, switch_on: Callable[[], None]) -> None:
    """Two more: what is queued, and whether it is a transaction; nothing runs per command."""
    bare = calls_of(pipe)
    switch_on()
    assert calls_of(pipe) - bare <= CEILINGS["pipeline"]


def test_a_suppressed_command_is_only_measured_at_its_pool(get: Ask, switch_on: Callable[[], None]) -> None:
    bare = calls_of(get)
    switch_on()
    with suppressed():
        assert calls_of(get) - bare <= CEILINGS["silent"]
