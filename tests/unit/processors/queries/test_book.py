"""When a finding is told: at once, then when it was seen twice as often, ten minutes apart."""

from __future__ import annotations

from dataclasses import replace

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces import CodeLocation, Sighting
from tickspan.processors.queries.book import Book
from tickspan.processors.queries.shelves import from_json, to_json

RULE = Rule("slow_query", Severity.WARNING, "slow", "look")
SIGHTING = Sighting(
    RULE.found("SELECT orders took 600 ms.", {"duration_s": 0.6}, fingerprint="f1", summary="SELECT orders"),
    trace_id=7,
    span_id=8,
    at_ns=100,
    time_lost_s=0.5,
    system="sqlite",
    namespace="book.db",
)
MINUTE_NS = 60 * 10**9


def test_the_first_is_told_and_the_next_is_not() -> None:
    book = Book()
    told = [book.take("bot", SIGHTING, now_ns) for now_ns in (0, 1)]
    assert [one is not None for one in told] == [True, False]


def test_it_is_told_again_when_it_was_seen_twice_as_often_and_ten_minutes_later() -> None:
    book = Book()
    told = [book.take("bot", SIGHTING, minute * MINUTE_NS) for minute in (0, 5, 9, 10, 19, 20, 21, 40)]
    assert [one.count if one else 0 for one in told] == [1, 0, 0, 4, 0, 0, 0, 8]


def test_a_graver_one_is_told_at_once() -> None:
    book = Book()
    grave = replace(SIGHTING, finding=replace(SIGHTING.finding, severity=Severity.ERROR))
    told = [book.take("bot", one, 0) for one in (SIGHTING, grave, SIGHTING)]
    assert [one.finding.severity.letter if one else "" for one in told] == ["W", "E", ""]


def test_another_service_statement_or_rule_is_another_finding() -> None:
    book = Book()
    other_statement = replace(SIGHTING, finding=replace(SIGHTING.finding, fingerprint="f2"))
    other_rule = replace(SIGHTING, finding=replace(SIGHTING.finding, rule="lock_wait"))
    told = [
        book.take(service, one, 0)
        for service, one in (
            ("bot", SIGHTING),
            ("desk", SIGHTING),
            ("bot", other_statement),
            ("bot", other_rule),
        )
    ]
    assert len({one.id for one in told if one is not None}) == 4


def test_the_worst_example_is_kept_with_the_place_in_the_code_that_is_known() -> None:
    book = Book()
    book.take("bot", replace(SIGHTING, location=CodeLocation("bot.py", 7, "trade")), 0)
    book.take("bot", replace(SIGHTING, time_lost_s=0.1, span_id=9), 0)
    book.take("bot", replace(SIGHTING, time_lost_s=2.0, span_id=10, at_ns=50), 0)
    (known,) = book.changed()
    assert (known.example.span_id, known.count, known.time_lost_s, known.first_ns, known.last_ns) == (
        10,
        3,
        2.6,
        50,
        100,
    )
    assert str(known.example.location) == "bot.py:7"


def test_what_changed_is_given_once() -> None:
    book = Book()
    book.take("bot", SIGHTING, 0)
    assert [len(book.changed()) for _ in range(2)] == [1, 0]


def test_what_is_known_of_earlier_runs_is_not_told_again() -> None:
    book = Book()
    book.take("bot", SIGHTING, 0)
    (known,) = book.changed()
    kept = from_json(to_json(known))
    assert kept == known
    assert Book([known]).take("bot", SIGHTING, 1) is None


def test_a_body_of_another_version_is_nothing() -> None:
    assert [from_json(text) for text in ("", "[]", "{}", '{"rule": 1}')] == [None, None, None, None]


def test_a_full_book_forgets_what_was_not_seen_longest() -> None:
    book = Book(max_findings=2)
    for fingerprint in ("f1", "f2", "f1", "f3"):
        book.take("bot", replace(SIGHTING, finding=replace(SIGHTING.finding, fingerprint=fingerprint)), 0)
    assert repr(book) == "<Book 2 findings>"
    assert book.take("bot", SIGHTING, 0) is None
