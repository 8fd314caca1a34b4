"""Beside redis-py's own metrics: each group that is on stays its own, ours is off, and spans remain."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
import redis
from opentelemetry import metrics
from tickspan.testing import Capture
from tickspan_redis import RedisInstrumentor

pytest.importorskip("redis.observability", reason="redis-py before 7.2 records no metrics itself")

from redis.observability import recorder
from redis.observability.config import MetricGroup, OTelConfig
from redis.observability.providers import get_observability_instance

pytestmark = pytest.mark.integration

OURS = "tickspan_redis"
GROUPS = {
    "COMMAND": {"db.client.operation.duration"},
    "RESILIENCY": {"redis.client.errors"},
    "CONNECTION_BASIC": {"db.client.connection.count", "db.client.connection.create_time"},
    "CONNECTION_ADVANCED": {"db.client.connection.wait_time", "redis.client.connection.closed"},
    "PUBSUB": {"redis.client.pubsub.messages"},
    "STREAMING": {"redis.client.stream.lag"},
}
ALL = set[str]().union(*GROUPS.values()) | {"db.client.connection.use_time"}


@pytest.fixture
def native(telemetry: Capture, monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[..., None]]:
    """Switch redis-py's own metrics on, at any time."""
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: telemetry.meter_provider)
    instance = get_observability_instance()

    def switch_on(*groups: str) -> None:
        recorder.reset_collector()
        instance.init(OTelConfig(metric_groups=[MetricGroup[group] for group in groups]))

    yield switch_on
    vars(instance)["_provider_manager"] = None
    recorder.reset_collector()


def work(url: str) -> None:
    """Calls that every metric has something to say of."""
    with redis.Redis(connection_pool=redis.BlockingConnectionPool.from_url(url)) as client:
        client.set("text", 1)
        with pytest.raises(redis.ResponseError):
            client.lpush("text", 1)
        client.publish("channel", 1)
        client.xadd("stream", {"price": 1})
        client.xread({"stream": "0"})
        client.connection_pool.disconnect()
        client.delete("stream")


def scopes(telemetry: Capture, url: str) -> dict[str, set[str]]:
    """Who tells each metric, while a connection is open."""
    with redis.Redis.from_url(url) as client:
        client.ping()
        told: dict[str, set[str]] = {}
        for metric in telemetry.received().metrics:
            if metric.name in ALL:
                told.setdefault(metric.name, set()).add(metric.scope)
    return told


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_that_is_on_is_left_to_redis_py(
    url: str, telemetry: Capture, native: Callable[..., None], group: str
):
    native(group)
    RedisInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    work(url)
    told = scopes(telemetry, url)
    RedisInstrumentor().uninstrument()
    assert told == {name: {"redis-py" if name in GROUPS[group] else OURS} for name in ALL}
    assert [s.name for s in telemetry.spans()][:3] == ["SET", "LPUSH", "PUBLISH"]


def test_redis_py_may_begin_late(url: str, telemetry: Capture, native: Callable[..., None]):
    RedisInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    with redis.Redis.from_url(url) as client:
        client.set("key", 1)
        native("COMMAND", "CONNECTION_BASIC")
        client.set("key", 1)
        told = {
            name: [p.count for p in telemetry.points(name) if "db.system" not in p.attributes]
            for name in ("db.client.operation.duration", "db.client.connection.create_time")
        }
        counted = [
            p for p in telemetry.points("db.client.connection.count") if "db.system" not in p.attributes
        ]
    RedisInstrumentor().uninstrument()
    assert told == {"db.client.operation.duration": [1], "db.client.connection.create_time": [1]}
    assert counted == []
