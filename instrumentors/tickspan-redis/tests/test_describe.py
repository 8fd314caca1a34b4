"""Names, not data: what of a command's words may be told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tickspan.instrumentation.commands import Command, command_of
from tickspan_redis.describe import (
    MAX_TEXT,
    describe_command,
    describe_pipeline,
    is_blocking,
    is_empty,
    pipeline_text,
)
from tickspan_redis.places import where

WORD = st.text(min_size=1) | st.binary(min_size=1) | st.integers() | st.floats()


@pytest.mark.parametrize(
    ("args", "verb", "text"),
    [
        (("SET", "key", "value"), "SET", "SET ? ?"),
        (("get", "key"), "GET", "GET ?"),
        ((b"GET", b"key"), "GET", "GET ?"),
        ((bytearray(b"GET"), "key"), "GET", "GET ?"),
        (("GET key",), "GET", "GET ?"),
        (("set key", "value"), "SET", "SET ? ?"),
        (("PING",), "PING", "PING"),
        (("XGROUP CREATE", "stream", "group", "$"), "XGROUP CREATE", "XGROUP CREATE ? ? ?"),
        (("XGROUP", "create", "stream"), "XGROUP CREATE", "XGROUP CREATE ?"),
        (("CLIENT", "s3cret"), "CLIENT", "CLIENT ?"),
        (("JSON.SET", "doc", "$", "{}"), "JSON.SET", "JSON.SET ? ? ?"),
        (("s3cret", "key"), "OTHER", "OTHER ?"),
        (("s3cret key",), "OTHER", "OTHER ?"),
        ((" ",), "OTHER", "OTHER"),
        ((42, "key"), "OTHER", "OTHER ?"),
        (("AUTH s3cret",), "AUTH", None),
        (("AUTH", "user", "s3cret"), "AUTH", None),
        (("HELLO", 3, "AUTH", "user", "s3cret"), "HELLO", None),
        (("ACL SETUSER", "user", ">s3cret"), "ACL SETUSER", None),
        (("CONFIG SET", "requirepass", "s3cret"), "CONFIG SET", None),
        (("config set requirepass s3cret",), "CONFIG SET", None),
        (("MIGRATE", "host", 6379, "", 0, 5, "AUTH", "s3cret"), "MIGRATE", None),
        (("EVAL", "return 's3cret'", 0), "EVAL", None),
        (("SCRIPT LOAD", "return 's3cret'"), "SCRIPT LOAD", None),
        (("FUNCTION LOAD", "#!lua name=s3cret"), "FUNCTION LOAD", None),
    ],
)
def test_a_command_is_told_by_its_verb_and_a_mark_per_argument(
    args: tuple[Any, ...], verb: str, text: str | None
):
    command = command_of(args)
    assert (command.verb, command.text) == (verb, text)


@given(st.lists(WORD, min_size=1, max_size=6))
def test_no_word_of_a_caller_is_ever_told(args: list[Any]):
    operation = describe_command(SimpleNamespace(), ["NOSUCHVERB", *args], {})
    assert operation is not None
    assert operation.attributes == {
        "db.system.name": "redis",
        "db.namespace": "0",
        "db.operation.name": "OTHER",
        "db.query.text": "OTHER" + " ?" * len(args),
    }


def test_many_arguments_are_cut():
    assert command_of(("MGET", *range(1000))).text == "MGET" + " ?" * 32 + " ..."


def test_the_text_of_a_big_pipeline_is_whole_lines_within_the_bound():
    text = pipeline_text(Command("SET", 2) for _ in range(100_000))
    assert (set(text.split("\n")), len(text) <= MAX_TEXT) == ({"SET ? ?", "..."}, True)


def test_the_text_of_a_big_pipeline_is_not_built_beyond_the_bound():
    drawn: list[int] = []
    pipeline_text(Command("SET", drawn.append(number) or 2) for number in range(100_000))
    assert len(drawn) < MAX_TEXT


@pytest.mark.parametrize(
    ("calls", "is_transaction", "name", "size"),
    [
        ([("SET", "a", 1), ("SET", "b", 2)], False, "PIPELINE SET", 2),
        ([("SET", "a", 1), ("GET", "b")], False, "PIPELINE", 2),
        ([("SET", "a", 1), ("SET", "b", 2)], True, "MULTI SET", 2),
        ([("SET", "a", 1), ("GET", "b")], True, "MULTI", 2),
        ([("SET", "a", 1)], False, "SET", None),
        ([("SET", "a", 1)], True, "MULTI SET", None),
        ([("OBJECT", "FREQ", "a"), ("OBJECT", "IDLETIME", "a")], False, "PIPELINE", 2),
        ([("set a 1",), ("SET", "b", 2)], False, "PIPELINE SET", 2),
    ],
)
def test_a_pipeline_is_named_for_what_all_its_commands_are(
    calls: list[tuple[Any, ...]], is_transaction: bool, name: str, size: int | None
):
    pipeline = SimpleNamespace(command_stack=[(call, {}) for call in calls], transaction=is_transaction)
    operation = describe_pipeline(pipeline, (), {})
    assert operation is not None
    assert (operation.name, operation.attributes.get("db.operation.batch.size")) == (name, size)


def test_a_pipeline_tells_of_withheld_commands_only_the_verb():
    calls = [(("AUTH", "s3cret"), {}), (("GET", "key"), {})]
    operation = describe_pipeline(SimpleNamespace(command_stack=calls), (), {})
    assert operation is not None
    assert operation.attributes["db.query.text"] == "AUTH\nGET ?"


def test_an_empty_pipeline_is_no_operation():
    assert describe_pipeline(SimpleNamespace(command_stack=[], watching=False), (), {}) is None


def test_an_empty_transaction_that_watches_is_one():
    pipeline = SimpleNamespace(command_stack=[], watching=True, transaction=True)
    operation = describe_pipeline(pipeline, (), {})
    assert operation is not None
    assert (operation.name, "db.query.text" in operation.attributes) == ("MULTI", False)


def test_a_call_without_a_command_is_no_operation():
    assert describe_command(SimpleNamespace(), (), {}) is None


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("BLPOP", "list", 0), True),
        (("XREAD", "COUNT", 1, "BLOCK", 100, "STREAMS", "stream", "$"), True),
        (("XREADGROUP", "GROUP", "g", "c", b"block", 100, "STREAMS", "stream", ">"), True),
        (("XREAD", "COUNT", 1, "STREAMS", "BLOCK", "$"), False),
        (("LPOP", "list"), False),
    ],
)
def test_a_read_blocks_by_its_verb_or_by_its_words(args: tuple[Any, ...], expected: bool):
    assert is_blocking(command_of(args), args) is expected


@pytest.mark.parametrize(
    ("result", "expected"), [(None, True), ([], True), ({}, True), (b"", False), (0, False), ([b""], False)]
)
def test_nil_and_empty_collections_are_no_data(result: Any, expected: bool):
    assert is_empty(result) is expected


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (("EVALSHA", "a" * 40, 0), "a" * 40),
        (("EVALSHA", "s3cret", 0), None),
        (("FCALL", "settle_orders", 0), "settle_orders"),
        (("FCALL", "not a name", 0), None),
    ],
)
def test_a_stored_program_is_told_by_its_name_if_it_looks_like_one(args: tuple[Any, ...], name: str | None):
    operation = describe_command(SimpleNamespace(), args, {})
    assert operation is not None
    assert operation.attributes.get("db.stored_procedure.name") == name


def test_a_unix_socket_has_an_address_and_no_port():
    pool = SimpleNamespace(connection_kwargs={"path": "/run/redis.sock", "db": 3})
    assert where(SimpleNamespace(connection_pool=pool)) == {
        "db.system.name": "redis",
        "db.namespace": "3",
        "server.address": "/run/redis.sock",
    }


def test_the_server_behind_a_sentinel_is_not_guessed():
    pool = SimpleNamespace(connection_kwargs={"db": None}, service_name="prices")
    expected = {"db.system.name": "redis", "db.namespace": "0"}
    assert where(SimpleNamespace(connection_pool=pool)) == expected
