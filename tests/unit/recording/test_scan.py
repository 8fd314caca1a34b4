"""The scanner: no value of a secret-looking key survives, at a cost that grows with the length only."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from collections.abc import Callable
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickspan.recording.scan import MAX_SCANNED, names_a_secret, scrubbed, scrubbed_lines, without_secrets

MARKER = "M4rkerOfASecret"
KEYS = (
    "secret",
    "apiKey",
    "api_key",
    "api-secret",
    "X-MBX-APIKEY",
    "OK-ACCESS-KEY",
    "OK-ACCESS-SIGN",
    "OK-ACCESS-PASSPHRASE",
    "password",
    "passwd",
    "pwd",
    "signature",
    "sig",
    "sign",
    "token",
    "access_token",
    "listenKey",
    "Authorization",
    "Set-Cookie",
    "privateKey",
    "session_id",
    "client_credential",
)
SHAPES = (
    "{key}={secret}",
    "{key}: {secret}",
    "{key} = {secret} and more",
    "{key} => {secret}",
    "?symbol=BTC&{key}={secret}&x=1",
    "{key}%3D{secret}%26x%3D1",
    "{key}%253D{secret}%2526x",
    "{key}%3A%20{secret}",
    "{key} := {secret}",
    "<{key}>{secret}</{key}>",
    "&lt;{key}&gt;{secret}&lt;/{key}&gt;",
    '{{"{key}": "{secret}", "x": 1}}',
    "{{'{key}': '{secret}', 'x': 1}}",
    "{{'{key}': b'{secret}'}}",
    "{{b'{key}': b'{secret}'}}",
    '{{\\"{key}\\": \\"{secret}\\", \\"x\\": 1}}',
    "[('{key}', '{secret}'), ('x', '1')]",
    '{key}="{secret} with an open quote',
    "{key}: ['{secret}']",
    "{key}: Bearer {secret}",
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_value_of_a_secret_looking_key_goes(key: str, shape: str) -> None:
    scanned = without_secrets(shape.format(key=key, secret=MARKER))
    assert MARKER not in scanned
    assert "[redacted]" in scanned


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Token M1\nHost: a", "Authorization: [redacted]\nHost: a"),
        ("Authorization: AWS4 Credential=M1, Signature=M2", "Authorization: [redacted]"),
        ("Cookie: a=M1; b=M2", "Cookie: [redacted]"),
        ("got Bearer abcdefgh12", "got Bearer [redacted]"),
        ("jwt eyJhbGciOiJI.eyJzdWIi.abc_def ok", "jwt [redacted] ok"),
        ("sk_live_abcdefgh1 AKIAABCDEFGHIJKL", "[redacted] [redacted]"),
        ("ghp_0123456789abcdefgh github_pat_0123456789abcdefgh_x", "[redacted] [redacted]"),
        ("xoxb-123456789-abc xapp-1-ABCDEFG", "[redacted] [redacted]"),
        ("AIzaSyA0123456789abcdefghijklmnopqrstuv", "[redacted]"),
        ("sk-proj-0123456789abcdefghij ya29.a0AfH6SMBx0123456789", "[redacted] [redacted]"),
        ("glpat-0123456789abcdefghij", "[redacted]"),
        ("chat 123456789:AAF0123456789abcdefghijklmnopqrstuvw ok", "chat [redacted] ok"),
        ("Basic%20dXNlcjpwYXNzd29yZA%3D%3D", "Basic%20[redacted]"),
        (
            "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----[redacted]-----END PRIVATE KEY-----",
        ),
    ],
)
def test_what_has_a_form_of_its_own_goes(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "order x-MHOOQ32c9f3a7b81d5e4f is unknown",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "designed: for signals",
        "assigned=1",
        "-2010 Account has insufficient balance for requested action.",
        "",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_text_is_cut_before_it_is_scanned() -> None:
    assert without_secrets("x" * 10 * MAX_SCANNED) == "x" * MAX_SCANNED


ENCODINGS: list[Callable[[str], str]] = [
    lambda text: urllib.parse.quote(text, safe=""),
    lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    urllib.parse.quote_plus,
    html.escape,
    json.dumps,
    lambda text: json.dumps(json.dumps(text)),
    lambda text: json.dumps(text).replace('\\"', "\\u0022"),
    repr,
    lambda text: repr(repr(text)),
    lambda text: text.replace("=", "\\u003d"),
]


@pytest.mark.parametrize("encode", ENCODINGS)
@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"symbol": "BTC", "apiKey": MARKER, "x": 1}),
        json.dumps({"headers": {"Authorization": f"Bearer {MARKER}"}}),
        f"https://h/x?symbol=BTC&signature={MARKER}&x=1",
        f"listenKey={MARKER}",
    ],
)
def test_no_secret_survives_because_its_text_is_encoded(encode: Callable[[str], str], text: str) -> None:
    assert MARKER not in scrubbed(encode(text))


def test_basic_credentials_go_in_their_encoding() -> None:
    encoded = base64.b64encode(f"user:{MARKER}".encode()).decode()
    assert encoded not in scrubbed(f"sent Basic {encoded} to the venue")


def test_urls_in_a_text_go_by_the_rule_for_urls() -> None:
    text = f"GET wss://u:{MARKER}@host/ws/{'a1' * 20}?x={MARKER} failed"
    assert scrubbed(text) == "GET wss://host/ws/{} failed"


def test_a_cut_text_ends_with_a_mark_and_whole_words() -> None:
    told = scrubbed("word " * MAX_SCANNED)
    assert (told[-14:], len(told)) == ("word word …[cut]"[-14:], 4094 + len(" …[cut]"))
    assert scrubbed("x" * (MAX_SCANNED + 1)) == "[redacted] …[cut]"


def test_a_text_of_many_lines_is_scanned_to_its_end() -> None:
    text = "\n".join([*(f"/app/bot.py:{line} step" for line in range(600)), f"apiKey={MARKER}"])
    told = scrubbed_lines(text)
    assert told == text.replace(MARKER, "[redacted]")
    assert scrubbed_lines("a\n" * 10_000) == "a\n" * 8192 + " …[cut]"


def test_of_a_line_that_is_too_long_its_head_is_kept() -> None:
    told = scrubbed_lines("short\n" + "word " * 10_000)
    assert (told[:10], told[-10:], len(told) < 2 * MAX_SCANNED) == ("short\nword", "word …[cut]"[-10:], True)


@given(st.lists(st.text(max_size=5000), max_size=8))
def test_any_text_of_many_lines_can_be_scanned(lines: list[str]) -> None:
    assert MARKER not in scrubbed_lines("\n".join([*lines, f"token={MARKER}"]))


@pytest.mark.parametrize("key", [*KEYS, "x.y.password.z"])
def test_a_key_that_names_a_secret_is_known(key: str) -> None:
    assert names_a_secret(key)


@pytest.mark.parametrize(
    "key", ["db.query.text", "trading.order.client_id", "design", "signal", "http.route"]
)
def test_a_key_that_names_none_is_not(key: str) -> None:
    assert not names_a_secret(key)


PIECES = [
    "a.",
    "secret",
    "secret.",
    "secret='",
    "secret\\",
    "secret=[",
    "sign.",
    "token%3",
    "authorization:",
    "eyJ",
    "=",
    '"',
    "sk_live_",
    "token%25",
    "token\\\\",
    "token&quot;",
    'token"',
    "sk-",
    "gh",
    "1:AA",
    "SG.",
    "bearer ",
    "token: bearer ",
]


@pytest.mark.parametrize("piece", [*PIECES, "token ", "-----BEGIN ", "Bearer ", "api_key: {", " \t"])
def test_time_grows_with_the_length_only(piece: str) -> None:
    hostile = (piece * MAX_SCANNED)[:MAX_SCANNED]
    started = process_time()
    for _ in range(10):
        without_secrets(hostile + "secret")
    assert process_time() - started < 1.0  # ten passes over 4 KiB; a quadratic rule takes several times that


def seconds(text: str) -> float:
    """The best of some passes: other processes only add to it."""
    taken: list[float] = []
    for _ in range(3):
        started = process_time()
        without_secrets(text)
        taken.append(process_time() - started)
    return min(taken)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_repeated_text_is_scanned_in_time_that_grows_with_its_length(pieces: list[str]) -> None:
    piece = "".join(pieces) or "x"
    hostile = (piece * MAX_SCANNED)[:MAX_SCANNED]
    assert seconds(hostile) < 0.1  # a quadratic rule takes seconds for 4 KiB; a linear one a few milliseconds


@given(st.text())
def test_any_text_can_be_scanned(text: str) -> None:
    assert len(without_secrets(text)) >= 0


@given(st.sampled_from(KEYS), st.text(st.characters(categories=("L", "N", "P")), min_size=1))
def test_no_value_in_json_survives(key: str, secret: str) -> None:
    value = MARKER + secret.replace('"', "").replace("\\", "")
    assert MARKER not in without_secrets(json.dumps({"x": 1, key: value, "y": 2}))


@given(st.text(max_size=200), st.sampled_from(KEYS), st.text(max_size=200))
def test_no_value_survives_among_any_text(before: str, key: str, after: str) -> None:
    assert MARKER not in without_secrets(f"{before} {key}={MARKER} {after}")
