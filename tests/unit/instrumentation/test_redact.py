"""Positions: of a URL scheme, host, port and path template are kept, and nothing else."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.instrumentation import redact

MARKER = "M4rkerOfASecret"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.binance.com/api/v3/order", "https://api.binance.com/api/v3/order"),
        ("https://api.binance.com:443/x?symbol=A&signature=M", "https://api.binance.com:443/x"),
        ("https://user:M@host/x#M", "https://host/x"),
        ("redis://:M@localhost:6379/0", "redis://localhost:6379/0"),
        ("postgresql+asyncpg://u:M@[::1]:5432/db", "postgresql+asyncpg://[::1]:5432/db"),
        ("sqlite:////var/orders.db", "sqlite:////var/orders.db"),
        ("/api/v3/order?timestamp=1", "/api/v3/order"),
        ("https://api.telegram.org/bot123456:AAF-x_y/sendMessage", "https://api.telegram.org/{}/sendMessage"),
        (
            "wss://stream.binance.com/ws/pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61",
            "wss://stream.binance.com/ws/{}",
        ),
        ("wss://stream.binance.com/ws/btcusdt@trade", "wss://stream.binance.com/ws/btcusdt@trade"),
        ("https://host/0123456789abcdef/x", "https://host/{}/x"),
        ("https://host/ab%2Bc3d4e5f6g7h8i9j0k%3D/x", "https://host/{}/x"),
        ("https://host/a;jsessionid=M/b", "https://host/a/b"),
        ("https://host/" + "x" * 65, "https://host/{}"),
        ("https://host:M/x", "[redacted]"),
        ("http://[::1/x", "[redacted]"),
        ("user:M@host/db", "[redacted]"),
        ("", "[redacted]"),
    ],
)
def test_a_url_keeps_what_has_no_secret(url: str, expected: str) -> None:
    assert redact.url(url) == expected


def test_allowed_query_parameters_are_kept() -> None:
    url = "https://host/x?symbol=BTCUSDT&signature=M&limit=5"
    assert (
        redact.url(url, allowed_query=frozenset({"symbol", "limit"}))
        == "https://host/x?symbol=BTCUSDT&limit=5"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("insufficient balance", "insufficient balance"),
        (
            "GET https://api.binance.com/api/v3/order?symbol=A&signature=M failed",
            "GET https://api.binance.com/api/v3/order failed",
        ),
        ("('redis://:M@h:1/0', 'apiKey': 'M')", "('redis://h:1/0', 'apiKey': [redacted])"),
    ],
)
def test_a_message_keeps_what_has_no_secret(text: str, expected: str) -> None:
    assert redact.text(text) == expected


@pytest.mark.parametrize("before", range(4060, 4100))
def test_a_cut_through_a_url_does_not_bare_its_password(before: int) -> None:
    message = f"{'x' * before} redis://user:12345678@host/0"
    assert "12" not in redact.text(message)


@given(st.text())
def test_any_text_can_be_a_url(text: str) -> None:
    assert len(redact.url(text)) <= len(text) + len("[redacted]")


@given(st.text(max_size=100), st.text(max_size=100))
def test_no_query_user_or_password_survives(before: str, after: str) -> None:
    message = f"{before} https://{MARKER}:{MARKER}@host/x?a={MARKER}&signature={MARKER} {after}"
    assert MARKER not in redact.text(message)


@pytest.mark.parametrize("piece", ["http://", "a", "a.", "h+", "//", "?", "https://a:b@", "bot1:"])
def test_time_grows_with_the_length_only(piece: str) -> None:
    hostile = piece * 1_000_000
    started = process_time()
    redact.text(hostile)
    assert process_time() - started < 0.25
