"""What waits before the file: what readers see of it, how it is bounded, and what the file is asked for."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from tickspan.cache.disk import pending as module
from tickspan.cache.disk.pending import Claimed, Condition, Pending, Row, Ticket
from tickspan.cache.tiers import NOTHING

LATER = 10_000


def row(text: str = "v", condition: Condition | None = None, **more: Any) -> Row:
    return Row(text.encode(), LATER, condition, **more)


def seen(pending: Pending, *keys: str) -> list[bytes | str | None]:
    """What readers get; `file` where they have to look there."""
    rows = [pending.look(key) for key in keys]
    return ["file" if there is None else there.seen(0) for there in rows]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Pending:
    """One for few rows, bytes and marks."""
    for name, bound in (("MOST_ROWS", 3), ("MOST_BYTES", 20), ("MOST_MARKS", 2)):
        monkeypatch.setattr(module, name, bound)
    return Pending()


def test_what_was_put_is_seen_until_the_file_has_it() -> None:
    pending = Pending()
    pending.put("k", row("v"))
    before = seen(pending, "k", "other")
    batch = pending.take(10)
    in_flight = seen(pending, "k")
    pending.settle(batch)
    assert (before, in_flight, seen(pending, "k"), bool(pending), pending.size_bytes) == (
        [b"v", "file"],
        [b"v"],
        ["file"],
        False,
        0,
    )


def test_what_has_expired_is_not_seen_and_hides_what_the_file_holds() -> None:
    pending = Pending()
    pending.put("k", Row(b"v", 100))
    there = pending.look("k")
    assert there is not None
    assert (there.seen(99), there.seen(100)) == (b"v", None)


def test_a_row_that_came_while_the_older_one_was_written_stays() -> None:
    pending = Pending()
    pending.put("k", row("old"))
    batch = pending.take(10)
    pending.put("k", row("new"))
    pending.settle(batch)
    assert (seen(pending, "k"), len(pending), pending.size_bytes) == ([b"new"], 1, 3)


NEWER = Condition(version=bytes(8))


def identified(number: int, condition: Condition | None = None) -> Row:
    return Row(bytes(16) + number.to_bytes(8), LATER, condition)


ONE = (1).to_bytes(8)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (None, Condition(ONE), ()),
        (Condition(NOTHING), None, ()),
        (Condition(NOTHING), Condition(ONE), (Condition(NOTHING),)),
        (Condition(b"other"), NEWER, (Condition(b"other"), NEWER)),
        (NEWER, Condition(ONE), (NEWER,)),
        (NEWER, Condition(version=ONE), (Condition(version=ONE),)),
    ],
)
def test_a_row_expects_of_the_file_what_the_row_before_it_did_or_what_it_does_itself(
    first: Condition | None, second: Condition | None, expected: tuple[Condition, ...]
) -> None:
    pending = Pending()
    pending.put("k", identified(1, first))
    pending.put("k", identified(2, second))
    assert pending.take(10).rows[0][1].any_of == expected


def test_a_row_that_follows_one_in_flight_expects_that_one_unless_it_comes_back() -> None:
    pending = Pending()
    pending.put("k", identified(1))
    batch = pending.take(10)
    pending.put("k", identified(2, Condition(ONE)))
    in_flight = pending.take(10).rows[0][1].any_of
    pending.give_back(batch)
    assert (in_flight, pending.take(10).rows[0][1].any_of) == ((Condition(ONE),), ())


def test_a_value_without_room_makes_its_key_void_instead(small: Pending) -> None:
    stored = [small.put(key, row(key)) for key in "abcd"]
    assert (stored, seen(small, "a", "d", "e"), small.dropped) == (
        [True, True, True, False],
        [b"a", None, "file"],
        1,
    )


def test_a_value_of_too_many_bytes_makes_its_key_void_also_where_an_older_one_waits(small: Pending) -> None:
    small.put("k", row("old"))
    is_stored = small.put("k", row("x" * 21))
    assert (is_stored, seen(small, "k"), small.size_bytes, small.dropped) == (False, [None], 0, 1)


def test_when_there_is_no_room_for_marks_either_the_whole_file_is_void(small: Pending) -> None:
    for key in "abcdef":
        small.put(key, row(key))
    before = seen(small, "a", "unknown")
    small.put("new", row("v"))
    batch = small.take(10)
    small.settle(batch)
    assert (before, batch.wipe, [key for key, _ in batch.rows], seen(small, "unknown")) == (
        [None, None],
        1,
        ["new"],
        ["file"],
    )


def test_a_prefix_hides_what_was_and_not_what_comes() -> None:
    pending = Pending()
    ticket: Ticket = Future()
    pending.put("r:a", row("old"))
    pending.put("s:a", row("other"))
    waiting = pending.erase("r:", ticket)
    pending.put("r:b", row("new"))
    before = seen(pending, "r:a", "r:b", "r:c", "s:a")
    batch = pending.take(10)
    pending.settle(batch)
    assert (waiting, before, batch.prefixes, seen(pending, "r:a")) == (
        1,
        [None, b"new", None, b"other"],
        [("r:", ticket)],
        ["file"],
    )


def test_an_epoch_only_grows_and_is_known_until_the_file_has_it() -> None:
    pending = Pending()
    numbers = [pending.bump("tag", now_ms, Future()) for now_ms in (100, 100, 50, 200)]
    before = pending.epoch("tag")
    pending.settle(pending.take(10))
    assert (numbers, before, pending.epoch("tag")) == ([100, 101, 102, 200], 200, 0)


def test_values_given_up_become_marks_and_tombstones_stay() -> None:
    pending = Pending()
    pending.put("value", row("v"))
    pending.put("grave", row("t", is_tombstone=True))
    lost = pending.give_up_values()
    assert (lost, seen(pending, "value", "grave"), pending.size_bytes, pending.dropped) == (
        1,
        [None, b"t"],
        1,
        1,
    )


def test_a_child_believes_nothing_of_what_its_parent_has_still_to_write() -> None:
    parent = Pending()
    parent.put("r:a", row("v"))
    parent.erase("s:", Future())
    parent.bump("tag", 7, Future())
    child = parent.inherited()
    whole = Pending()
    whole.wipe()
    assert (seen(child, "r:a", "s:a", "t:a"), child.epoch("tag"), seen(whole.inherited(), "any")) == (
        [None, None, "file"],
        7,
        [None],
    )


def test_tickets_are_for_all_rows_before_them_and_end_when_nobody_does_them() -> None:
    pending = Pending()
    ticket, claim, erased, bumped = (Future[Any]() for _ in range(4))
    pending.put("a", row())
    pending.put("b", row())
    pending.when_written(ticket)
    early = pending.take(1)
    pending.settle(early)
    pending.claim(Claimed("c", b"me", 1, claim))
    pending.erase("r:", erased)
    pending.bump("tag", 5, bumped)
    pending.finish(lambda _claimed: True)
    results = [each.result(0) for each in (ticket, claim, erased, bumped)]
    assert (early.tickets, results, repr(pending)) == (
        [],
        [None, True, 0, 5],
        "<Pending 1 rows, 1 bytes, 0 dropped>",
    )
