"""Messages and streams: how many, how old, and whose names may be told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest
import redis
import redis.asyncio
from tickspan.testing import Capture, RecordedSpan
from tickspan_redis import RedisInstrumentor
from tickspan_redis.messages import ages_of, group_of, message_of

MESSAGES = "redis.client.pubsub.messages"
LAG = "redis.client.stream.lag"

Instrument = Callable[..., Capture]


@pytest.fixture
def instrument(telemetry: Capture) -> Generator[Instrument]:
    """Switch the instrumentor on with settings."""

    def switch_on(**settings: Any) -> Capture:
        RedisInstrumentor().instrument(
            tracer_provider=telemetry.tracer_provider,
            meter_provider=telemetry.meter_provider,
            settings={"redis": settings},
        )
        return telemetry

    yield switch_on
    RedisInstrumentor().uninstrument()


def sums(capture: Capture) -> list[tuple[Mapping[str, Any], float]]:
    short = {"redis.client.pubsub.message.direction": "direction", "redis.client.pubsub.channel": "channel"}
    return [
        ({short.get(key, key): value for key, value in p.attributes.items()}, p.value)
        for p in capture.points(MESSAGES)
    ]


def received(pubsub: Any) -> Any:
    """The next message; confirmations are passed over."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.2)
        if message is not None:
            return message
    raise AssertionError("no message within 5 s")


def exchange(url: str) -> None:
    """Three messages published, by hand and in a pipeline, and two of them received."""
    with redis.Redis.from_url(url) as client, client.pubsub() as pubsub:
        pubsub.subscribe("s3cret-orders")
        pubsub.psubscribe("s3cret-f*")
        assert pubsub.get_message(timeout=5) is not None
        assert pubsub.get_message(timeout=5) is not None
        client.publish("s3cret-orders", "s3cret")
        pipeline: Any = client.pipeline(transaction=False)
        pipeline.publish("s3cret-fills", "s3cret").publish("elsewhere", "s3cret").get("s3cret").execute()
        assert [received(pubsub)["channel"] for _ in range(2)] == [b"s3cret-orders", b"s3cret-fills"]


@pytest.mark.integration
def test_messages_are_counted_by_direction_without_their_channels(url: str, instrument: Instrument):
    capture = instrument()
    exchange(url)
    assert sums(capture) == [({"direction": "publish"}, 3), ({"direction": "receive"}, 2)]


@pytest.mark.integration
def test_asynchronous_messages_too(url: str, instrument: Instrument):
    async def main() -> None:
        client: Any = redis.asyncio.Redis.from_url(url)
        async with client, client.pubsub() as pubsub:
            await pubsub.subscribe("s3cret")
            assert await pubsub.get_message(timeout=5) is not None
            await client.publish("s3cret", "s3cret")
            assert await pubsub.get_message(timeout=5) is not None

    capture = instrument()
    asyncio.run(main())
    assert sums(capture) == [({"direction": "publish"}, 1), ({"direction": "receive"}, 1)]


@pytest.mark.integration
def test_a_channel_that_is_listed_is_named(url: str, instrument: Instrument):
    capture = instrument(channels=["s3cret-orders"])
    exchange(url)
    named = {"channel": "s3cret-orders"}
    assert sums(capture) == [
        ({"direction": "publish", **named}, 1),
        ({"direction": "publish"}, 2),
        ({"direction": "receive", **named}, 1),
        ({"direction": "receive"}, 1),
    ]


@pytest.mark.integration
def test_a_message_is_a_span_around_its_handling_on_request(url: str, instrument: Instrument):
    capture = instrument(message_spans=True, channels=["orders"])
    tracer = capture.tracer_provider.get_tracer("bot")

    def handle(_message: Any) -> None:
        tracer.start_span("handled").end()

    with redis.Redis.from_url(url) as client, client.pubsub() as pubsub:
        pubsub.subscribe(orders=handle, s3cret=handle)
        assert pubsub.get_message(timeout=5) is not None
        assert pubsub.get_message(timeout=5) is not None
        client.publish("orders", "s3cret")
        client.publish("s3cret", "s3cret")
        while len(capture.spans()) < 6:
            pubsub.get_message(timeout=1)
    assert capture.tree() == "PUBLISH\nPUBLISH\nreceive orders\n  handled\nreceive\n  handled"
    told = {"db.system.name": "redis", "redis.client.pubsub.message.direction": "receive"}
    assert [s for s in capture.spans() if s.kind == "consumer"] == [
        RecordedSpan(
            "receive orders", "consumer", 3, 3, None, {**told, "redis.client.pubsub.channel": "orders"}
        ),
        RecordedSpan("receive", "consumer", 4, 5, None, told),
    ]


@pytest.mark.integration
def test_messages_leave_no_span_unless_asked_for(url: str, instrument: Instrument):
    capture = instrument()
    exchange(url)
    assert {s.kind for s in capture.spans()} == {"client"}


def read_streams(client: Any) -> None:
    now_ms = time.time_ns() // 1_000_000
    client.xadd("s3cret", {"price": "s3cret"}, id=f"{now_ms - 5_000}-0")
    client.xadd("s3cret", {"price": "s3cret"}, id=f"{now_ms - 3_000}-0")
    client.xgroup_create("s3cret", "s3cret-group", id="0")
    client.xread({"s3cret": "0"})
    client.xreadgroup("s3cret-group", "s3cret-consumer", {"s3cret": ">"}, block=1000)
    client.xread({"s3cret": "$"}, block=1)


@pytest.mark.integration
@pytest.mark.parametrize("protocol", [2, 3])
def test_entries_are_as_old_as_their_ids_say(url: str, instrument: Instrument, protocol: int):
    capture = instrument()
    with redis.Redis.from_url(url, protocol=protocol) as client:
        read_streams(client)
    (point,) = capture.points(LAG)
    assert (point.attributes, point.count, 16 <= point.value < 30) == ({}, 4, True)


@pytest.mark.integration
def test_entries_read_asynchronously_too(url: str, instrument: Instrument):
    async def main() -> None:
        client: Any = redis.asyncio.Redis.from_url(url)
        async with client:
            await client.xadd("s3cret", {"price": 1}, id=f"{time.time_ns() // 1_000_000 - 5_000}-0")
            await client.xread({"s3cret": "0"}, block=1000)

    capture = instrument()
    asyncio.run(main())
    (point,) = capture.points(LAG)
    assert (point.attributes, point.count, 5 <= point.value < 30) == ({}, 1, True)


@pytest.mark.integration
def test_a_stream_that_is_listed_is_named_with_its_group(url: str, instrument: Instrument):
    capture = instrument(streams=["s3cret"])
    with redis.Redis.from_url(url) as client:
        read_streams(client)
    named = {"redis.client.stream.name": "s3cret"}
    assert [(p.attributes, p.count) for p in capture.points(LAG)] == [
        (named, 2),
        ({**named, "redis.client.consumer_group": "s3cret-group"}, 2),
    ]


@pytest.mark.integration
def test_no_key_value_channel_stream_or_group_is_exported(url: str, instrument: Instrument):
    capture = instrument(message_spans=True)
    exchange(url)
    with redis.Redis.from_url(url) as client:
        read_streams(client)
        with pytest.raises(redis.ResponseError):
            client.lpush("s3cret", "s3cret")
        with pytest.raises(redis.ResponseError):
            client.execute_command("s3cret", "s3cret")
    told = capture.received()
    assert {metric.name for metric in told.metrics} >= {MESSAGES, LAG, "redis.client.errors"}
    assert "s3cret" not in repr(told)


@pytest.mark.parametrize(
    ("answer", "ages"),
    [
        (None, []),
        ([], []),
        ({}, []),
        ([[b"s", [(b"1700000000000-0", {}), (b"1700000001000-1", {})]]], [("s", [2.0, 1.0])]),
        ([["s", [("1700000000000-0", {})]], ["t", [("1700000001500-0", {})]]], [("s", [2.0]), ("t", [0.5])]),
        ({b"s": [[(b"1700000000000-0", {})]]}, [("s", [2.0])]),
        ({b"s": [[[b"1700000000000-0", {}]]]}, [("s", [2.0])]),
        ({b"s": [(b"1700000000000-0", {}, 5, 1)]}, [("s", [2.0])]),
        ([[b"s", [(b"1700000009000-0", {})]]], [("s", [0])]),
        ([[b"s", [(b"1-1", {}), (b"x", {}), (b"\xb2-0", {}), (None, {})]]], []),
        ([[b"s", []]], []),
    ],
)
def test_ages_are_read_from_what_any_version_and_protocol_answers(answer: Any, ages: Any):
    assert list(ages_of(answer, 1_700_000_002_000)) == ages


def test_of_many_entries_a_hundred_are_looked_at():
    entries = [(f"{1_700_000_000_000 + number}-0", {}) for number in range(10_050)]
    ((_, ages),) = ages_of([["s", entries]], 1_700_000_100_000)
    assert (len(ages), ages[0], ages[-1] < 90.2) == (100, 100.0, True)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ([b"message", b"orders", b"s3cret"], ("message", "orders")),
        (["pmessage", "o*", "orders", "s3cret"], ("pmessage", "orders")),
        ([b"smessage", b"orders", b"s3cret"], ("smessage", "orders")),
        ([b"subscribe", b"orders", 1], None),
        ([b"message"], None),
        ([b"pong", b""], None),
        (b"PONG", None),
        ([], None),
        (None, None),
    ],
)
def test_only_what_brings_a_message_is_one(reply: Any, told: Any):
    assert message_of(reply) == told


@pytest.mark.parametrize(
    ("args", "group"),
    [
        (("XREADGROUP", b"GROUP", "bots", "me", "STREAMS", "s", ">"), "bots"),
        (("XREAD", b"STREAMS", "group", "0"), None),
        (("XREAD",), None),
    ],
)
def test_the_group_of_a_read_is_its_first_option(args: Any, group: Any):
    assert group_of(args) == group
