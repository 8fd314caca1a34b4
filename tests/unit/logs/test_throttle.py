"""How many records a line may write, and what is told of those it did not."""

from __future__ import annotations

import logging

import pytest

from tickspan.logs import throttle

from .conftest import Desk, StartDesk

_SECOND = 10**9


@pytest.fixture
def quiet(plain: logging.Logger) -> logging.Logger:
    plain.propagate = False
    plain.addHandler(logging.NullHandler())
    return plain


def summaries(desk: Desk) -> list[tuple[object, object]]:
    """Text and count of what is told of suppressed records."""
    return [
        (log.body, log.attributes["tickspan.log.suppressed.count"])
        for log in desk.logs()
        if log.event_name == "tickspan.log.suppressed"
    ]


def test_nine_thousand_records_are_one_summary_every_ten_seconds(start: StartDesk, quiet: logging.Logger):
    desk = start(throttle=50)
    for second in range(20):
        desk.clock[0] = second
        for number in range(500):
            quiet.warning(f"tick {second} {number}")  # each text is a new one
        desk.capture.look()
    desk.clock[0] = 40.0
    desk.capture.look()
    assert len(desk.logs()) == 20 * 50 + len(summaries(desk))
    assert summaries(desk) == [("4,950 more", 4950), ("4,050 more", 4050)]
    assert desk.capture.statistics().suppressed == {"system": 9_000}


def test_two_lines_are_two_accounts_and_one_line_in_two_loggers_is_one(
    start: StartDesk, quiet: logging.Logger
):
    desk = start(throttle=2)
    for _ in range(4):
        quiet.warning("a")
        quiet.warning("b")
        for name in ("app.orders", "app.other"):
            desk.logger(name).info("c")
    assert sorted(map(str, desk.bodies())) == ["a", "a", "b", "b", "c", "c"]


def test_a_clock_that_is_set_back_opens_the_line_again(start: StartDesk, quiet: logging.Logger):
    desk = start(throttle=1)
    for second in (100.0, 100.5, 50.0, 50.5):
        desk.clock[0] = second
        quiet.warning("tick %s", second)
    assert desk.bodies() == ["tick 100.0", "tick 50.0"]


def test_more_lines_than_are_told_apart_lose_no_count(
    start: StartDesk, quiet: logging.Logger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(throttle, "MAX_SITES", 8)
    desk = start(throttle=1)
    for line in range(20):
        for _ in range(3):
            quiet.handle(logging.LogRecord(quiet.name, 30, "/srv/bot.py", line, "tick", (), None))
    assert len(desk.capture.throttle.sites) == 8
    desk.capture.look(is_last=True)
    assert (summaries(desk), desk.capture.statistics().records) == ([("2 more", 2)] * 20, {"system": 20})


def test_a_line_that_is_silent_is_forgotten(desk: Desk, quiet: logging.Logger):
    quiet.warning("once")
    desk.clock[0] = 11.0
    desk.capture.look()
    assert desk.capture.throttle.sites == {}


def test_no_limit_is_no_limit(start: StartDesk, quiet: logging.Logger):
    desk = start(throttle=0)
    for _ in range(200):
        quiet.warning("tick")
    assert len(desk.bodies()) == 200


def test_audit_records_pass_whatever_their_line_wrote(start: StartDesk):
    desk = start(throttle=1)
    told = [desk.logger("oms", "risk").audit("limit %d", number) for number in range(100)]
    assert (told, len(desk.bodies())) == ([True] * 100, 100)
    assert desk.capture.statistics().suppressed == {}


def test_a_record_of_category_audit_passes_too(start: StartDesk, quiet: logging.Logger):
    desk = start(throttle=1)
    for number in range(10):
        desk.logger("oms", "audit").warning("limit %d", number)
    assert len(desk.bodies()) == 10


def test_what_is_told_is_without_secrets(start: StartDesk, quiet: logging.Logger):
    desk = start(throttle=1)
    for _ in range(3):
        quiet.warning("password=hunter2hunter2")
    desk.capture.look(is_last=True)
    assert len(summaries(desk)) == 1
    assert not any(b"hunter2" in entry.body for entry in desk.sink.entries)
