"""A key decides what may be recorded under it: everything, nothing, or what a rule leaves."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Generator
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan import semconv
from tickspan.recording import keys
from tickspan.recording.keys import (
    PLAIN,
    REDACTIONS,
    SECRET,
    KeyPolicy,
    forget_cleaner,
    key_policy,
    redactions,
    register_cleaner,
)
from tickspan.recording.values import AttributeValue, clean_attribute

MARKER = "M4rkerOfASecret"


@pytest.fixture(autouse=True)
def counted_anew() -> Generator[None]:
    REDACTIONS.restart()
    yield
    keys.KNOWN.clear()


def plus_last(text: str) -> str:
    return f"{text}!"


def broken(text: str) -> NoReturn:
    raise LookupError(text)


@pytest.mark.parametrize(
    "key",
    [
        "apiKey",
        "kucoin.api_secret",
        "X-MBX-APIKEY",
        "user.password",
        "a.very.long.name.in.front.of.what.matters.in.the.end.password",
        "smtp.auth",
        "db.dsn",
        "wallet.mnemonic",
        "request.sign",
        "signing_key",
        "aws.secret_access_key",
    ],
)
def test_nothing_is_recorded_under_a_key_that_names_a_secret(key: str) -> None:
    assert key_policy(key) is SECRET
    told: list[AttributeValue] = [
        clean_attribute(key, value) for value in (MARKER, 7, [MARKER], {"a": MARKER}, b"M", None)
    ]
    assert told == ["[redacted]", "[redacted]", ("[redacted]",), "[redacted]", "[redacted]", None]
    assert redactions() == {"key": 5}


def emitted() -> list[str]:
    """Every name in `semconv`, but for those that were made because something has to be kept out."""
    modules = [name for _, name, _ in pkgutil.iter_modules(semconv.__path__) if name != "foreign"]
    loaded = [importlib.import_module(f"tickspan.semconv.{name}") for name in modules]
    return [
        value for module in loaded for name, value in vars(module).items() if name.isupper() and "." in value
    ]


def test_no_name_that_we_emit_is_taken_for_a_secret() -> None:
    assert [name for name in emitted() if key_policy(name).rule in {"key", "never", "header"}] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trading.symbol", "BTC/USDT"),
        ("trading.order.client_id", "x-MHOOQ32c9f3a7b81d5e4f"),
        ("http.route", "/orders/{id}"),
        ("design", "sign here: token"),
        ("gen_ai.usage.output_tokens", 5),
        ("code.function.name", "sign"),
        ("db.query.summary", "SELECT orders"),
    ],
)
def test_under_any_other_key_a_value_stays(key: str, value: AttributeValue) -> None:
    assert clean_attribute(key, value) is value
    assert redactions() == {}


@pytest.mark.parametrize(
    ("key", "value", "expected", "rule"),
    [
        ("url.full", f"https://u:{MARKER}@h:1/a?sig={MARKER}#{MARKER}", "https://h:1/a", "url"),
        ("http.url", f"https://h/bot123:{MARKER}/send", "https://h/{}/send", "url"),
        ("http.target", f"/api?token={MARKER}", "/api", "url"),
        ("url.path", "/ws/pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61", "/ws/{}", "url"),
        ("url.query", f"token={MARKER}", "", "url"),
        ("url.fragment", MARKER, "", "url"),
        ("url.full", (f"https://h/?a={MARKER}", "https://h/"), ("https://h/", "https://h/"), "url"),
        ("url.full", b"https://h/", "[redacted]", "url"),
        ("url.full", {"a": MARKER}, "[redacted]", "url"),
        ("http.request.header.authorization", (MARKER,), ("[redacted]",), "header"),
        ("http.request.header.kc_api_sign", MARKER, "[redacted]", "header"),
        ("http.request.header.gate-key", MARKER, "[redacted]", "header"),
        ("http.request.header.ok_access_passphrase", MARKER, "[redacted]", "header"),
        ("http.response.header.set-cookie", MARKER, "[redacted]", "header"),
        ("rpc.grpc.request.metadata.x-auth-data", MARKER, "[redacted]", "header"),
        ("http.request.header.referer", f"https://h/?a={MARKER}", "https://h/", "url"),
        ("http.request.header.x_note", f"token={MARKER}", "token=[redacted]", "text"),
        ("process.command_args", ("a", MARKER), ("[redacted]", "[redacted]"), "never"),
        ("process.environment_variable.HOME", MARKER, "[redacted]", "never"),
        ("db.query.parameter.0", 5, "[redacted]", "never"),
        ("http.request.body", MARKER, "[redacted]", "never"),
        ("exception.message", f"apiKey={MARKER}", "apiKey=[redacted]", "text"),
        ("exception.stacktrace", f"GET https://h/?a={MARKER}", "GET https://h/", "text"),
        ("myapp.error", {"why": f"apiKey={MARKER}"}, {"why": "apiKey=[redacted]"}, "text"),
        ("myapp.error", {"apiKey": MARKER, "n": 1}, {"apiKey": "[redacted]", "n": 1}, "text"),
        ("gen_ai.tokens", MARKER, "[redacted]", "key"),
    ],
)
def test_a_position_has_its_rule(
    key: str, value: AttributeValue, expected: AttributeValue, rule: str
) -> None:
    assert key_policy(key).rule == rule
    assert key_policy(key).apply(value) == expected
    assert redactions()[rule] >= 1


def test_what_a_rule_leaves_as_it_is_is_not_counted() -> None:
    assert clean_attribute("url.full", "https://h/a") == "https://h/a"
    assert clean_attribute("exception.message", "") == ""
    assert clean_attribute("url.full", 7) == 7
    assert redactions() == {}


@pytest.fixture
def registered() -> Generator[None]:
    key_policy("my.position")  # a verdict that was remembered before counts no longer
    register_cleaner("my.position", plus_last)
    register_cleaner("broken.position", broken)
    yield
    forget_cleaner("my.position")
    forget_cleaner("broken.position")


@pytest.mark.usefixtures("registered")
def test_a_rule_can_be_registered_from_above() -> None:
    assert clean_attribute("my.position", "a") == "a!"
    assert redactions() == {"registered": 1}
    forget_cleaner("my.position")
    assert key_policy("my.position") is PLAIN


@pytest.mark.usefixtures("registered")
def test_a_rule_that_raises_keeps_everything_back_however_often() -> None:
    assert [clean_attribute("broken.position", MARKER) for _ in range(20)] == ["[redacted]"] * 20
    assert redactions() == {"failed": 20}


def test_without_a_reader_no_statement_is_recorded() -> None:
    assert keys._FIXED["db.statement"].apply("SELECT 1") == "[redacted]"


def test_verdicts_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_KEYS", 3)
    keys.KNOWN.clear()
    verdicts = [key_policy(f"key{number}.password") for number in range(5)]
    assert (verdicts, list(keys.KNOWN)) == ([SECRET] * 5, [f"key{number}.password" for number in range(3)])


def test_a_long_key_is_not_remembered() -> None:
    long = "x" * 300 + ".password"
    assert (key_policy(long), long in keys.KNOWN) == (SECRET, False)


@given(st.text(max_size=80))
def test_any_key_has_a_verdict(key: str) -> None:
    policy = key_policy(key)
    assert type(policy) is KeyPolicy
    assert repr(policy) == f"<KeyPolicy {policy.rule}>"
