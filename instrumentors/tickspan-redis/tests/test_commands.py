"""Single commands against a real server: the whole span, told alike by both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry
from tickspan.testing import Capture, RecordedEvent, RecordedSpan

pytestmark = pytest.mark.integration


def connect(url: str, **options: Any) -> Any:
    """A client; untyped, since redis-py types each result as sync or async, and each pipeline as a result."""
    return redis.Redis.from_url(url, **options)


def connect_async(url: str) -> Any:
    """Its asynchronous twin."""
    return redis.asyncio.Redis.from_url(url)


Stories = Callable[[], list[RecordedSpan]]
Place = Mapping[str, Any]


def span(number: int, name: str, attributes: Mapping[str, Any], **more: Any) -> RecordedSpan:
    """A root CLIENT span of its own trace."""
    return RecordedSpan(name, "client", number, number, None, attributes, **more)


def failed(event: str, message: str) -> Mapping[str, Any]:
    told = {"exception.type": event, "exception.message": message}
    return {"status": "error", "description": message, "events": (RecordedEvent("exception", told),)}


def test_commands_are_spans_without_keys_or_values(url: str, place: Place, stories: Stories):
    with connect(url) as client:
        client.set("account:s3cret", "s3cret", ex=10)
        client.mget("account:s3cret", "b", "c")
        client.execute_command("get account:s3cret")
    assert stories() == [
        span(1, "SET", {**place, "db.operation.name": "SET", "db.query.text": "SET ? ? ? ?"}),
        span(2, "MGET", {**place, "db.operation.name": "MGET", "db.query.text": "MGET ? ? ?"}),
        span(3, "GET", {**place, "db.operation.name": "GET", "db.query.text": "GET ?"}),
    ]


def test_asynchronous_commands_are_the_same_spans(url: str, place: Place, stories: Stories):
    async def main() -> None:
        async with connect_async(url) as client:
            await client.set("account:s3cret", "s3cret", ex=10)
            await client.mget("account:s3cret", "b", "c")
            await client.execute_command("get account:s3cret")

    asyncio.run(main())
    assert stories() == [
        span(1, "SET", {**place, "db.operation.name": "SET", "db.query.text": "SET ? ? ? ?"}),
        span(2, "MGET", {**place, "db.operation.name": "MGET", "db.query.text": "MGET ? ? ?"}),
        span(3, "GET", {**place, "db.operation.name": "GET", "db.query.text": "GET ?"}),
    ]


def test_an_error_of_the_server_is_told_by_its_code(url: str, place: Place, stories: Stories):
    with connect(url) as client:
        client.set("s3cret", "text")
        with pytest.raises(redis.ResponseError):
            client.lpush("s3cret", "s3cret")
    attributes = {
        **place,
        "db.operation.name": "LPUSH",
        "db.query.text": "LPUSH ? ?",
        "db.response.status_code": "WRONGTYPE",
        "error.type": "WRONGTYPE",
    }
    assert stories()[1:] == [
        span(2, "LPUSH", attributes, **failed("redis.exceptions.ResponseError", "WRONGTYPE"))
    ]


def test_an_unknown_command_tells_nothing_of_itself(url: str, place: Place, stories: Stories):
    with connect(url) as client, pytest.raises(redis.ResponseError, match="s3cret"):
        client.execute_command("s3cret", "s3cret")
    attributes = {
        **place,
        "db.operation.name": "OTHER",
        "db.query.text": "OTHER ?",
        "db.response.status_code": "ERR",
        "error.type": "ERR",
    }
    assert stories() == [span(1, "OTHER", attributes, **failed("redis.exceptions.ResponseError", "ERR"))]


def test_a_refused_connection_is_an_error_without_a_peer(instrumented: Capture):
    client = redis.Redis(port=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))
    with pytest.raises(redis.ConnectionError):
        client.get("s3cret")
    (told,) = instrumented.spans()
    assert (told.status, told.attributes) == (
        "error",
        {
            "db.system.name": "redis",
            "db.namespace": "0",
            "server.address": "localhost",
            "server.port": 1,
            "db.operation.name": "GET",
            "db.query.text": "GET ?",
            "error.type": "redis.exceptions.ConnectionError",
        },
    )


def test_the_database_index_is_the_namespace(url: str, instrumented: Capture):
    with connect(url.replace("/0", "/3")) as client:
        client.ping()
    assert [s.attributes["db.namespace"] for s in instrumented.spans()] == ["3"]


def test_durations_are_recorded_by_operation_and_outcome(url: str, place: Place, instrumented: Capture):
    with connect(url) as client:
        client.set("key", "text")
        client.set("key", "text")
        with pytest.raises(redis.ResponseError):
            client.lpush("key", "x")
    server = {name: value for name, value in place.items() if not name.startswith("network.")}
    failure = {"db.response.status_code": "WRONGTYPE", "error.type": "WRONGTYPE"}
    points = instrumented.points("db.client.operation.duration")
    assert [(point.attributes, point.count) for point in points] == [
        ({**server, "db.operation.name": "SET"}, 2),
        ({**server, "db.operation.name": "LPUSH", **failure}, 1),
    ]
    assert 0 < sum(point.value for point in points) < 10


@pytest.mark.parametrize("decode_responses", [False, True])
def test_results_are_decoded_as_the_client_was_told(url: str, instrumented: Capture, decode_responses: bool):
    with connect(url, decode_responses=decode_responses) as client:
        client.set("key", "value")
        assert client.get("key") == {False: b"value", True: "value"}[decode_responses]
    assert instrumented.tree() == "SET\nGET"


def test_scripts_and_credentials_never_leave(url: str, place: Place, instrumented: Capture):
    with connect(url) as client:
        client.eval("return 's3cret'", 0)
        client.config_set("requirepass", "")
        client.execute_command("ACL SETUSER", "guest", "on", ">s3cret", "+get")
        client.execute_command("ACL DELUSER", "guest")
    told = [dict(s.attributes) for s in instrumented.spans()]
    verbs = ("EVAL", "CONFIG SET", "ACL SETUSER", "ACL DELUSER")
    assert told == [{**place, "db.operation.name": verb} for verb in verbs]


def test_a_command_is_a_child_of_what_its_caller_does(url: str, instrumented: Capture):
    tracer = instrumented.tracer_provider.get_tracer("bot")
    with connect(url) as client, tracer.start_as_current_span("on tick"):
        client.set("key", "value")
        client.get("key")
    assert instrumented.tree() == "on tick\n  SET\n  GET"


def test_a_cancelled_command_ends_its_span(url: str, instrumented: Capture):
    async def main() -> None:
        async with connect_async(url) as client:
            await client.ping()
            task = asyncio.create_task(client.wait(1, 2000))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    told = [(s.name, s.status, s.attributes.get("error.type")) for s in instrumented.spans()]
    assert told == [("PING", "unset", None), ("WAIT", "error", "asyncio.exceptions.CancelledError")]


def test_published_messages_arrive_as_they_would_without_us(url: str, instrumented: Capture):
    with connect(url) as client, client.pubsub() as subscriber:
        subscriber.subscribe("prices")
        subscriber.get_message(timeout=5)
        client.publish("prices", "1.25")
        message = subscriber.get_message(timeout=5)
    assert message == {"type": "message", "pattern": None, "channel": b"prices", "data": b"1.25"}
    assert instrumented.tree() == "PUBLISH"
