"""Silences: what matchers say, and the file that two programs share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickspan.alerts.silences import FILE, LabelMatcher, SilenceError, Silences, parse_matchers

LABELS = (("alertname", "SlowVenue"), ("job", "bot"), ("trading_venue_name", "binance"))


@pytest.mark.parametrize(
    ("text", "is_covered"),
    [
        ('alertname="SlowVenue"', True),
        ("alertname=SlowVenue", True),
        ('{alertname="SlowVenue", job!="other"}', True),
        ('trading_venue_name=~"bin.*"', True),
        ('trading_venue_name=~"bin"', False),
        ('alertname="SlowVenue",trading_venue_name!~"bin.*|okx"', False),
        ('alertname="SlowVenue",host_name=""', True),
        ('alertname="SlowVenue",host_name!=""', False),
    ],
)
def test_matchers_mean_what_they_mean_to_an_alertmanager(tmp_path: Path, text: str, is_covered: bool):
    silences = Silences(tmp_path / FILE, lambda: 100.0)
    silences.add(parse_matchers(text), 200.0)
    assert silences.cover(LABELS) is is_covered


def test_quotes_hold_what_would_end_a_matcher():
    assert parse_matchers(r'a="x,y}\"\\n",b=~"1|2"') == (
        LabelMatcher("a", "=", 'x,y}"\\n'),
        LabelMatcher("b", "=~", "1|2"),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected a matcher that does not accept an empty label"),
        ('a=~".*"', "expected a matcher that does not accept an empty label"),
        ('alertname="SlowVenue",oops', "expected matchers like alertname=\"SlowVenue\", got 'oops'"),
        ('a=~"("', "a: expected a regular expression, got '('"),
    ],
)
def test_matchers_that_cannot_be_meant_are_refused(text: str, told: str):
    with pytest.raises(SilenceError, match="expected") as caught:
        parse_matchers(text)
    assert str(caught.value).startswith(told)


def test_a_silence_ends_by_itself_and_by_hand(tmp_path: Path):
    now = [100.0]
    agent = Silences(tmp_path / FILE, lambda: now[0])
    command = Silences(tmp_path / FILE, lambda: now[0])
    first = command.add(parse_matchers("job=bot"), 200.0, "deploy")
    second = command.add(parse_matchers('alertname=~"Slow.*"'), 300.0)
    assert agent.current() == (first, second)
    now[0] = 250.0
    assert agent.current() == (second,)
    assert [command.remove(second.id), command.remove(second.id)] == [True, False]
    assert (agent.current(), agent.cover(LABELS)) == ((), False)


def test_a_time_that_is_over_is_refused(tmp_path: Path):
    with pytest.raises(SilenceError, match="expected a time to come"):
        Silences(tmp_path / FILE, lambda: 100.0).add(parse_matchers("job=bot"), 100.0)


@pytest.mark.parametrize("content", [b"", b"{", b'{"silences": [{"id": 1}]}', b'{"silences": 7}'])
def test_a_file_that_cannot_be_read_silences_nothing(tmp_path: Path, content: bytes):
    (tmp_path / FILE).write_bytes(content)
    assert Silences(tmp_path / FILE, lambda: 100.0).current() == ()
