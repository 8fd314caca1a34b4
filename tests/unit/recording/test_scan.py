"""The scanner: no value of a secret-looking key survives, at a cost that grows with the length only."""

from __future__ import annotations

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.recording.scan import MAX_SCANNED, names_a_secret, without_secrets

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
]


@pytest.mark.parametrize("piece", [*PIECES, "token ", "-----BEGIN ", "Bearer ", "api_key: {", " \t"])
def test_time_grows_with_the_length_only(piece: str) -> None:
    hostile = (piece * MAX_SCANNED)[:MAX_SCANNED]
    started = process_time()
    for _ in range(10):
        without_secrets(hostile + "secret")
    assert process_time() - started < 1.0  # ten passes over 4 KiB; a quadratic rule takes several times that


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
