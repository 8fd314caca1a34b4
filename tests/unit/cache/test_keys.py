"""Keys and their names in the tiers below."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.cache.keys import KEY_BYTES, Names, check_name, key_of, prefix_of, text_of

PART = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.integers(-(10**20), 10**20)
KEY = PART | st.lists(PART, min_size=1, max_size=3).map(tuple)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("AAPL", "AAPL"),
        (17, "i17"),
        (-1, "i-1"),
        ("i17", "%6917"),
        ("ibm", "%69bm"),
        ("a:b", "a%3Ab"),
        (("a", "b"), "a:b"),
        (("a",), "a:"),
        ("", "%"),
        (("", 1), "%:i1"),
        ("50%", "50%25"),
        ("x*?[]\\^", "x%2A%3F%5B%5D%5C%5E"),
        ("a\nb\x7f", "a%0Ab%7F"),
        ("€", "€"),
    ],
)
def test_a_key_has_one_text_that_holds_no_separator_glob_or_control_character(key: Any, text: str):
    assert (text_of(key), key_of(text)) == (text, key)


@given(KEY)
def test_a_text_tells_its_key(key: Any):
    assert key_of(text_of(key)) == key


@given(KEY, KEY)
def test_different_keys_have_different_texts(one: Any, other: Any):
    assert (text_of(one) == text_of(other)) == (one == other)


@given(KEY)
def test_a_text_can_stand_in_a_glob_and_in_one_line(key: Any):
    assert not re.search(r"[*?\[\]\\^\x00-\x1f\x7f]", text_of(key))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), PART)
def test_the_text_of_a_str_begins_with_the_text_of_its_beginning(start: str, rest: Any):
    assert text_of(f"{start}{rest}").startswith(prefix_of(start))


@given(st.lists(PART, min_size=1, max_size=3), st.lists(PART, min_size=1, max_size=2))
def test_the_text_of_a_tuple_begins_with_the_text_of_its_beginning(start: list[Any], rest: list[Any]):
    assert text_of((*start, *rest)).startswith(prefix_of(tuple(start)))


def test_a_prefix_of_parts_does_not_mean_parts_that_only_begin_alike():
    assert not text_of(("AAPL2", 1)).startswith(prefix_of(("AAPL",)))


@pytest.mark.parametrize("key", [True, 1.0, None, b"a", [], (), ("a", True), ("a", 1.0), ("a", ("b",))])
def test_what_is_no_str_int_or_tuple_of_them_is_no_key(key: Any):
    with pytest.raises(TypeError, match="key: expected a str, int or a tuple of them, got"):
        text_of(key)


def test_a_lone_surrogate_is_no_key():
    with pytest.raises(TypeError, match="surrogate"):
        text_of("\ud800")


def test_a_key_has_at_most_512_bytes_as_text():
    assert len(text_of("é" * (KEY_BYTES // 2)).encode()) == KEY_BYTES
    with pytest.raises(TypeError, match="at most 512 bytes as text, got 514"):
        text_of("é" * (KEY_BYTES // 2 + 1))


def test_a_subclass_of_str_or_int_is_the_key_that_it_is_equal_to():
    class Symbol(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "a symbol"

    assert (text_of(Symbol("AAPL")), text_of((Symbol("IBM"), 1))) == ("AAPL", "IBM:i1")


@pytest.mark.parametrize("text", ["i", "i01", "ix", "a::b", "::"])
def test_a_text_that_no_key_has_tells_none(text: str):
    assert key_of(text) is None


def test_the_names_of_a_region_begin_with_prefixes_that_overlap_no_others():
    names = Names("bot", "fills")
    assert [
        names.value(("a", 1)),
        names.clear,
        names.tag("venue:x"),
        names.claim("a"),
        names.key("bot:fills:a:i1"),
        names.key("bot:other:a"),
    ] == [
        "bot:fills:a:i1",
        "bot:@all:fills",
        "bot:@tag:fills:venue%3Ax",
        "bot:@claim:fills:a",
        ("a", 1),
        None,
    ]


@pytest.mark.parametrize("tag", ["", 1, "é" * 128])
def test_a_tag_is_a_str_of_1_to_255_bytes(tag: Any):
    with pytest.raises(TypeError, match="tag: expected"):
        Names("bot", "fills").tag(tag)


@pytest.mark.parametrize("name", ["", "a:b", "@all", "a b", "x" * 65, "ä"])
def test_a_name_has_letters_digits_and_few_marks(name: str):
    with pytest.raises(ValueError, match="region: expected 1 to 64 letters"):
        check_name("region", name)
