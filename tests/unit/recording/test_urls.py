"""URLs keep scheme, host, port and path template, at a bounded cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickspan.recording.urls import MAX_URL, in_text, query_without_data, without_data


def test_a_query_keeps_what_is_allowed() -> None:
    assert query_without_data("a=1&b=2&c", frozenset({"a", "c"})) == "a=1&c"
    assert query_without_data("a=1&b=2") == ""


def test_a_long_url_keeps_whole_segments_of_its_head() -> None:
    told = without_data("https://host/" + "ab/" * MAX_URL)
    assert told == "https://host/" + "ab/" * ((MAX_URL - len("https://host/")) // 3 - 1) + "ab"


def test_of_a_long_url_without_a_path_nothing_is_kept() -> None:
    assert without_data("https://user:" + "x" * MAX_URL + "@host/") == "[redacted]"


def test_a_text_keeps_what_stands_around_its_urls() -> None:
    assert in_text('got "https://h/a?b=c" and wss://u:p@h/d.') == 'got "https://h/a" and wss://h/d.'


@given(st.text(max_size=300))
def test_any_text_may_hold_urls(text: str) -> None:
    assert isinstance(in_text(text), str)
