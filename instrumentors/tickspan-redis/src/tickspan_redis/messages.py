"""Messages of channels and entries of streams: how many, and how old. Their content is never looked at."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from opentelemetry.trace import SpanKind
from tickspan.instrumentation import (
    ActiveOperation,
    AttributeValue,
    Operation,
    Workbench,
    is_suppressed,
)
from tickspan.instrumentation.commands import text_of
from tickspan.instrumentation.wrapping import wrapped
from tickspan.semconv.db import DB_SYSTEM_NAME
from tickspan.semconv.redis import (
    DIRECTION_RECEIVE,
    REDIS_CLIENT_PUBSUB_CHANNEL,
    REDIS_CLIENT_PUBSUB_MESSAGE_DIRECTION,
    REDIS_CLIENT_PUBSUB_SHARDED,
    SYSTEM_REDIS,
)

from tickspan_redis.calls import Note
from tickspan_redis.describe import queued
from tickspan_redis.meters import Meters

MOST_AGES: Final = 100
"""Entries of one read and stream whose age is measured, evenly spread."""
_FIRST_MS: Final = 1_000_000_000_000
"""2001: an entry's id below it was made by hand and is no time."""
_CHANNEL_AT: Final = {"message": 1, "smessage": 1, "pmessage": 2}
"""Where a reply that brings a message has its channel."""
_PUBLISHES: Final = frozenset({"PUBLISH", "SPUBLISH"})
_MIXED: Final = frozenset({"PIPELINE", "MULTI"})
"""Names of pipelines whose commands differ."""
_READS: Final = frozenset({"XREAD", "XREADGROUP"})
NOTED: Final = _PUBLISHES | _READS
"""Commands of whose answer something is measured."""
NOTED_PIPELINES: Final = _MIXED | _PUBLISHES | {f"{mixed} {verb}" for mixed in _MIXED for verb in _PUBLISHES}
"""Names of pipelines in which such a command may be."""


def note_of_command(verb: str, _client: Any, args: Sequence[Any], meters: Meters) -> Note | None:
    """What is to be measured of a command's answer; None for most."""
    if verb in _PUBLISHES:
        channel = text_of(args[1]) if len(args) > 1 and meters.settings.channels else None
        return lambda _answer: meters.published(channel, is_sharded=verb == "SPUBLISH")
    if verb in _READS:
        group = group_of(args) if meters.settings.streams else None
        return lambda answer: _note_ages(answer, group, meters)
    return None


def note_of_pipeline(name: str, pipeline: Any, _args: Sequence[Any], meters: Meters) -> Note | None:
    """The same of a pipeline: how many messages it publishes, without their channels."""
    if name not in NOTED_PIPELINES:
        return None
    numbers = dict.fromkeys(_PUBLISHES, 0)
    for call in queued(pipeline):
        if call[0] in numbers:
            numbers[call[0]] += 1
    if not any(numbers.values()):
        return None

    def note(_answer: Any) -> None:
        for verb, number in numbers.items():
            meters.published(None, is_sharded=verb == "SPUBLISH", number=number)

    return note


def receiving(original: Any, bench: Workbench) -> Any:
    """`PubSub.handle_message`: each message is counted, and on request its handling is a span."""
    meters, guard = Meters.of(bench), bench.guard("messages")

    def decide(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ActiveOperation | None:
        reply = args[1] if len(args) > 1 else kwargs.get("response")
        told = message_of(reply)
        if told is None:
            return None
        kind, channel = told
        is_sharded = kind == "smessage"
        if meters.is_on:
            meters.messages(DIRECTION_RECEIVE, channel, is_sharded=is_sharded)
        if not meters.settings.message_spans or is_suppressed():
            return None
        is_named = channel in meters.settings.channels
        operation = describe_message(channel if is_named else None, is_sharded=is_sharded)
        return bench.start(operation, guard=guard)

    def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ActiveOperation | None:
        return guard.own(decide, args, kwargs, default=None) if bench.is_active else None

    def finish(active: ActiveOperation, result: Any) -> None:
        del result
        active.succeed()

    return wrapped(original, begin, finish)


def describe_message(channel: str | None, *, is_sharded: bool) -> Operation:
    """The handling of a message: `receive orders`, or `receive` for a channel that must not be named."""
    attributes: dict[str, AttributeValue] = {
        DB_SYSTEM_NAME: SYSTEM_REDIS,
        REDIS_CLIENT_PUBSUB_MESSAGE_DIRECTION: DIRECTION_RECEIVE,
    }
    if is_sharded:
        attributes[REDIS_CLIENT_PUBSUB_SHARDED] = True
    if channel is not None:
        attributes[REDIS_CLIENT_PUBSUB_CHANNEL] = channel
    name = DIRECTION_RECEIVE if channel is None else f"{DIRECTION_RECEIVE} {channel}"
    return Operation(name, attributes, SpanKind.CONSUMER)


def message_of(reply: Any) -> tuple[str, str] | None:
    """Kind and channel of a reply that brings a message; None for a confirmation, a pong, or nothing."""
    if not isinstance(reply, list | tuple) or not reply:
        return None
    kind = text_of(reply[0])
    at = _CHANNEL_AT.get(kind)
    return (kind, text_of(reply[at])) if at is not None and len(reply) > at else None


def group_of(args: Sequence[Any]) -> str | None:
    """The consumer group that a read names, which is its first option."""
    _, option, group = (*args[:3], "", "", "")[:3]
    return text_of(group) if text_of(option).upper() == "GROUP" else None


def ages_of(answer: Any, now_ms: int) -> Iterator[tuple[str, list[float]]]:
    """Streams of an answer to XREAD, and how many seconds old their entries are, by their ids.

    Entries of one read are looked at in part when there are many. An id that is no time has no age; one
    from the future, by a clock that goes wrong, is new.
    """
    streams: Iterable[Any] = answer.items() if isinstance(answer, Mapping) else answer or ()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - by protocol and version
    for stream, entries in streams:
        ages = [
            max(0, now_ms - made_ms) / 1e3 for made_ms in _times_ms(_flat(entries)) if made_ms >= _FIRST_MS
        ]
        if ages:
            yield text_of(stream), ages


def _flat(entries: Sequence[Any]) -> Sequence[Any]:
    """Entries; some protocols and versions put a list of them in a list."""
    is_nested = bool(entries) and isinstance(entries[0], list) and isinstance(entries[0][0], list | tuple)
    return entries[0] if is_nested else entries


def _times_ms(entries: Sequence[Any]) -> Iterator[int]:
    for entry in entries[:: max(1, -(-len(entries) // MOST_AGES))]:
        stamp = text_of(entry[0]).partition("-")[0] if entry else ""
        if stamp.isascii() and stamp.isdigit():
            yield int(stamp)


def _note_ages(answer: Any, group: str | None, meters: Meters) -> None:
    for stream, ages_s in ages_of(answer, time.time_ns() // 1_000_000):
        meters.lagged(stream, group, ages_s)
