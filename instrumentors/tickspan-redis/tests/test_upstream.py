"""Beside upstream's instrumentor and redis-py's own metrics: nothing twice, and nothing less than theirs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import redis
import redis.asyncio
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor as UpstreamInstrumentor
from tickspan.testing import Capture
from tickspan_redis import RedisInstrumentor

pytestmark = pytest.mark.integration

OURS = "tickspan_redis"
THEIRS = "opentelemetry.instrumentation.redis"

NOT_OURS = {"network.transport", "db.redis.args_length", "db.redis.pipeline_length"}
"""docs/decisions/0003-redis-attributes-beside-upstream.md says why."""

Instrument = Callable[[Sequence[type[BaseInstrumentor]]], None]


@pytest.fixture
def stable_names(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Upstream reads once which conventions it follows."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "database,http")
    _OpenTelemetrySemanticConventionStability._initialized = False
    yield
    _OpenTelemetrySemanticConventionStability._initialized = False


@pytest.fixture
def instrument(telemetry: Capture, stable_names: None) -> Generator[Instrument]:
    """Switch instrumentors on in an order, and off again in reverse."""
    on: list[BaseInstrumentor] = []

    def switch_on(kinds: Sequence[type[BaseInstrumentor]]) -> None:
        on.extend(kind() for kind in kinds)
        for instrumentor in on:
            instrumentor.instrument(
                tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
            )

    yield switch_on
    for instrumentor in reversed(on):
        instrumentor.uninstrument()


def work(url: str) -> None:
    """Calls of every kind that both tell."""
    with redis.Redis.from_url(url) as client:
        sync: Any = client
        sync.set("key", "value")
        sync.pipeline(transaction=False).get("key").set("key", 1).execute()
        with sync.pipeline() as pipeline:
            pipeline.watch("key")
            pipeline.multi()
            pipeline.incr("key")
            pipeline.execute()

    async def main() -> None:
        asynchronous: Any = redis.asyncio.Redis.from_url(url)
        async with asynchronous as client:
            await client.set("key", "value")
            await client.pipeline(transaction=False).get("key").set("key", 1).execute()

    asyncio.run(main())


def test_upstream_under_ours_keeps_silent(url: str, telemetry: Capture, instrument: Instrument):
    instrument([UpstreamInstrumentor, RedisInstrumentor])
    work(url)
    assert [(s.scope, s.parent_id) for s in telemetry.spans()] == [(OURS, None)] * 6


def test_ours_under_upstream_leaves_the_call_to_it(url: str, telemetry: Capture, instrument: Instrument):
    instrument([RedisInstrumentor, UpstreamInstrumentor])
    work(url)
    assert [(s.scope, s.parent_id) for s in telemetry.spans()] == [(THEIRS, None)] * 6


def test_ours_leaves_a_client_that_upstream_has_wrapped_to_it(
    url: str, telemetry: Capture, instrument: Instrument
):
    instrument([RedisInstrumentor])
    with redis.Redis.from_url(url) as client:
        UpstreamInstrumentor.instrument_client(client, tracer_provider=telemetry.tracer_provider)
        client.set("key", "value")
    assert [s.scope for s in telemetry.spans()] == [THEIRS]


def test_ours_tells_all_that_upstream_tells_in_stable_conventions(
    url: str, telemetry: Capture, instrument: Instrument
):
    instrument([UpstreamInstrumentor])
    work(url)
    theirs = [dict(s.attributes) for s in telemetry.spans()]
    UpstreamInstrumentor().uninstrument()
    telemetry.clear()
    instrument([RedisInstrumentor])
    work(url)
    ours = [dict(s.attributes) for s in telemetry.spans()]
    wanted = [{k: v for k, v in told.items() if k not in NOT_OURS} for told in theirs]
    assert [{k: told.get(k) for k in like} for told, like in zip(ours, wanted, strict=True)] == wanted


def test_what_redis_py_times_itself_is_not_timed_again(
    url: str, telemetry: Capture, instrument: Instrument, monkeypatch: pytest.MonkeyPatch
):
    instrument([RedisInstrumentor])
    with redis.Redis.from_url(url) as client:
        client.set("key", "value")
        monkeypatch.setitem(sys.modules, "redis.observability.providers", _native(["COMMAND"]))
        client.set("key", "value")
        monkeypatch.setitem(sys.modules, "redis.observability.providers", _native(["RESILIENCY"]))
        client.get("key")
    points = telemetry.points("db.client.operation.duration")
    assert [(p.attributes["db.operation.name"], p.count) for p in points] == [("SET", 1), ("GET", 1)]
    assert telemetry.tree() == "SET\nSET\nGET"


def _native(groups: Sequence[str]) -> Any:
    """redis-py's observability with these groups of metrics on."""
    config = SimpleNamespace(
        is_enabled=lambda: True, metric_groups=[SimpleNamespace(name=group) for group in groups]
    )
    manager = SimpleNamespace(config=config)
    return SimpleNamespace(_observability_instance=SimpleNamespace(get_provider_manager=lambda: manager))
