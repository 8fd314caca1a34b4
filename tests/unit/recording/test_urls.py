"""URLs keep scheme, host, port and path template, at a bounded cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickspan.recording.urls import (
    MAX_URL,
    HostRule,
    add_host_rules,
    in_text,
    query_without_data,
    without_data,
)


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


def test_a_path_behind_a_method_or_in_an_error_is_a_url_too() -> None:
    assert in_text("POST /order?key=1&size=2 HTTP/1.1") == "POST /order HTTP/1.1"
    assert in_text("failed with url: /a/b?c=d (Caused by x)") == "failed with url: /a/b (Caused by x)"
    assert in_text("> GET /ws/0123456789abcdef01 HTTP/1.1") == "> GET /ws/{} HTTP/1.1"
    assert in_text("see /etc/hosts, or ask: why? a=b") == "see /etc/hosts, or ask: why? a=b"


def test_hosts_may_have_rules_of_their_own() -> None:
    rules = {"h": HostRule(frozenset({"a"}), ("/ws/{key}", "/user/{id}/orders"))}
    remove = add_host_rules(rules.get)
    told = [
        without_data(url)
        for url in (
            "https://h/x?a=1&b=2",
            "https://H:8443/ws/short/more?b=2",
            "https://h/ws/",
            "https://h/user/7/orders",
            "https://h/user/7/trades",
            "https://other/ws/short?a=1",
        )
    ]
    remove()
    assert told == [
        "https://h/x?a=1",
        "https://h:8443/ws/{}/more",
        "https://h/ws/",
        "https://h/user/{}/orders",
        "https://h/user/7/trades",
        "https://other/ws/short",
    ]


@given(st.text(max_size=300))
def test_any_text_may_hold_urls(text: str) -> None:
    assert isinstance(in_text(text), str)
