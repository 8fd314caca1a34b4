"""Statements and messages of anyone's instrumentation: no literal, no argument, no unknown tag."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.instrumentation import positions
from tickspan.instrumentation.db import Database, DatabaseOperations
from tickspan.instrumentation.positions import FIX_ACCOUNT, FIX_TAGS, fix_without_data, statement_without_data
from tickspan.recording.values import clean_attribute

MARKER = "M4rkerOfASecret"


@pytest.fixture(autouse=True)
def nothing_vouched() -> Generator[None]:
    yield
    positions.VOUCHED.clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "SELECT * FROM t WHERE a = 'M' AND b = $1 AND c = 5",
            "SELECT * FROM t WHERE a = ? AND b = ? AND c = ?",
        ),
        ('SELECT "M" FROM t', "SELECT ? FROM t"),
        ("broken ' M", "?"),
        ('{"find": "M", "filter": {"a": 1}}', "{?: ?, ?: {?: ?}}"),
        ("SET search_path TO a", "SET search_path TO ?"),
        ("SET x = 1", "SET x = ?"),
        ("SET NAMES utf8", "SET NAMES ?"),
        ("SET M M", "SET ? ?"),
        ("GET M", "GET ?"),
        ("get M", "GET ?"),
        ("GET M\nAUTH M\nPING", "GET ?\nAUTH\nPING"),
        ("CONFIG SET requirepass M", "CONFIG SET"),
        ("HSET M M M", "HSET ? ? ?"),
        ("", ""),
    ],
)
def test_a_statement_keeps_its_shape(text: str, expected: str) -> None:
    assert statement_without_data(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "SET ? ?",
        "SET ? ?\nGET ?",
        "HSET ? ? ...",
        "XGROUP CREATE ? ? ?",
        "OTHER ?",
        "EVAL",
        "PIPELINE",
        "MULTI\nJSON.SET ? ? ?\n...",
        "SELECT * FROM t WHERE id IN (?)",
    ],
)
def test_what_holds_no_data_stays_as_it_is(text: str) -> None:
    assert statement_without_data(text) == text
    assert clean_attribute("db.query.text", text) == text


@pytest.mark.parametrize("system", ["postgresql", "mysql"])
def test_what_our_operations_made_literal_free_stays_as_it_is(system: str) -> None:
    operations = DatabaseOperations(Database(system))
    quoted = '"id"' if system != "mysql" else "`id`"
    told = operations.told(f"SELECT {quoted} FROM t WHERE a = 'M'")
    assert told.attributes["db.query.text"] == f"SELECT {quoted} FROM t WHERE a = ?"
    text = told.attributes["db.query.text"]
    assert clean_attribute("db.query.text", text) == text


def test_vouched_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "MAX_VOUCHED", 2)
    for text in ("a", "b", "c"):
        positions.vouch(text)
    assert list(positions.VOUCHED) == ["c"]


def test_a_long_pipeline_is_cut() -> None:
    told = statement_without_data("GET M\n" * 1000)
    assert told == "GET ?\n" * 64 + "..."


@given(st.text(max_size=200))
def test_any_text_can_be_a_statement(text: str) -> None:
    assert isinstance(statement_without_data(text), str)


@given(
    st.lists(
        st.sampled_from(["SET", "GET", "select", "AUTH", "EVAL", "'", '"', "\n", "=", "from"]), max_size=6
    )
)
def test_no_literal_survives_whatever_stands_around_it(words: list[str]) -> None:
    text = " ".join([*words, f"'{MARKER}'"])
    assert MARKER not in statement_without_data(text) or words.count("'") % 2 or words.count('"') % 2


SOH = "\x01"


def fix(*fields: str) -> bytes:
    return "".join(f"{field}{SOH}" for field in fields).encode()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (fix("8=FIX.4.4", "35=D", "55=BTC", "10=001"), "8=FIX.4.4|35=D|55=BTC|10=001"),
        (fix("35=A", "553=M", "554=M", "925=M", "1=M", "9999=M"), "35=A|553=?|554=?|925=?|1=?|9999=?"),
        (fix("95=7", f"96=M{SOH}55=M{SOH}", "55=BTC"), "95=?|96=?|55=BTC"),
        (fix("93=1", "89=M", "10=1"), "93=?|89=?|10=1"),
        (fix("95=1", f"96=M{SOH}55=M"), "95=?|96=?|55=M"),
        (fix("95=2", f"96=M{SOH}55=M"), "95=?|96=?|..."),
        (fix("96=M", "55=M"), "96=?|..."),
        (fix("35=D", "no tag", "55=M"), "35=D|..."),
        (fix("95=99999999999", "96=M"), "95=?|96=?|..."),
        (b"35=D", "35=?|..."),
        (b"", ""),
    ],
)
def test_a_fix_message_keeps_known_tags(message: bytes, expected: str) -> None:
    assert fix_without_data(message) == expected


def test_an_account_is_told_only_if_allowed_and_a_password_never() -> None:
    allowed = FIX_TAGS | {FIX_ACCOUNT, 554}
    assert fix_without_data(b"1=ACC|554=M|", allowed=allowed, separator=b"|") == "1=ACC|554=?"


@given(st.binary(max_size=300))
def test_any_bytes_can_be_a_fix_message(message: bytes) -> None:
    assert len(fix_without_data(message)) <= 12 * len(message) + 3
