"""Which commands many callers may send over one connection."""

from __future__ import annotations

from typing import Any

import pytest

from tickspan.cache.remote.verbs import VERBS, checked
from tickspan.instrumentation.commands import COMMANDS


@pytest.mark.parametrize("verb", ["GET", "get", b"get", "EvalSha"])
def test_a_verb_is_known_however_it_is_written(verb: Any):
    name = verb.decode() if isinstance(verb, bytes) else verb
    assert checked(verb, ()) == name.upper()


@pytest.mark.parametrize(
    ("verb", "arguments", "instead"),
    [
        ("MULTI", (), "use a script"),
        ("WATCH", ("k",), "use a script"),
        ("BLPOP", ("k", 0), "a redis.asyncio client of its own"),
        ("WAIT", (1, 0), "a redis.asyncio client of its own"),
        ("SUBSCRIBE", ("c",), "pubsub()"),
        ("MONITOR", (), "pubsub()"),
        ("SELECT", (1,), "in the URL or the settings"),
        ("CLIENT", ("REPLY", "OFF"), "in the URL or the settings"),
        ("client reply", ("off",), "in the URL or the settings"),
        ("AUTH", ("x",), "in the URL or the settings"),
        ("KEYS", ("*",), "use SCAN"),
        ("XREAD", ("BLOCK", 0, "STREAMS", "s", "$"), "a redis.asyncio client of its own"),
        ("XREADGROUP", ("GROUP", "g", "c", b"block", 0, "STREAMS", "s", ">"), "redis.asyncio client"),
        ("GET key", (), "without its arguments"),
        ("SHUTDOWN", (), "one of its verbs"),
    ],
)
def test_others_are_refused_and_told_what_to_use(verb: str, arguments: tuple[Any, ...], instead: str):
    with pytest.raises(ValueError, match=instead.replace("(", r"\(").replace(")", r"\)")):
        checked(verb, arguments)


def test_a_stream_may_be_read_without_waiting_and_its_key_may_be_called_block():
    assert checked("XREAD", ("COUNT", 5, "STREAMS", "BLOCK", "0")) == "XREAD"


def test_a_refusal_holds_no_argument():
    with pytest.raises(ValueError, match="mux: ") as refusal:
        checked("AUTH hunter2", ())
    assert "hunter2" not in str(refusal.value)


def test_all_are_commands_of_redis_and_none_blocks_or_changes_the_connection():
    assert not VERBS - COMMANDS
    assert not {verb for verb in VERBS if verb.startswith(("BL", "BZ", "BR", "SUBS", "PSUBS"))}
