"""The outage journal, on a clock of its own."""

from __future__ import annotations

import pytest

from tickspan.cache.envelope import tombstone
from tickspan.cache.remote.journal import Due, Journal, JournalStatistics, epoch_of, region_of
from tickspan.cache.tiers import Bump, Bury, Claim, Erase, Read, Write


class _Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def journal(clock: _Clock) -> Journal:
    return Journal(limit=4, unknown_s=1.0, now_s=clock)


def _write(key: str, version: int | None = None) -> Write:
    return Write(key, b"", 1000, version=version)


def _bury(key: str, version: int | None = None) -> Bury:
    return Bury((key,), (tombstone(b"8 bytes.", 1, 1, version),), 1000)


def test_what_was_not_done_is_due_at_once_and_may_not_be_read(journal: Journal):
    for request in (_write("bot:q:a", 7), _bury("bot:q:b", 3), Bump(("bot:@tag:q:x",), 1), Erase("bot:r:p")):
        assert journal.note(request, is_unknown=False)
    assert journal.due(10) == Due(4, {"bot:q:a": 7, "bot:q:b": 3}, ("bot:@tag:q:x",), ("bot:r:p",))
    reads = [
        Read(("bot:q:a",)),
        Read(("bot:q:c", "bot:q:b")),
        Read(("bot:q:c",), ("bot:@tag:q:x",)),
        Read(("bot:r:price",)),
        Read(("bot:q:c", "bot:r:o"), ("bot:@tag:q:y",)),
    ]
    assert [journal.touches(read) for read in reads] == [True, True, True, True, False]


def test_what_may_be_under_way_is_due_later_and_may_not_be_read_until_then(journal: Journal, clock: _Clock):
    journal.note(_write("bot:q:a"), is_unknown=True)
    assert (journal.wait_s(), bool(journal.due(10)), journal.touches(Read(("bot:q:a",)))) == (
        1.0,
        False,
        True,
    )
    clock.now_s += 1.0
    due = journal.due(10)
    assert due == Due(1, {"bot:q:a": 0})
    journal.settle(due)
    assert (journal.wait_s(), journal.is_dirty, journal.touches(Read(("bot:q:a",)))) == (None, False, False)


def test_the_last_chance_waits_for_nothing(journal: Journal):
    journal.note(_write("bot:q:a"), is_unknown=True)
    assert journal.due(10, is_last=True) == Due(1, {"bot:q:a": 0})


def test_what_is_noted_again_meanwhile_stays(journal: Journal):
    journal.note(_write("bot:q:a", 1), is_unknown=False)
    due = journal.due(10)
    journal.note(_write("bot:q:a", 9), is_unknown=False)
    journal.settle(due)
    assert journal.due(10) == Due(2, {"bot:q:a": 9})


def test_the_highest_version_is_kept(journal: Journal):
    for version in (5, 8, 6, None):
        journal.note(_write("bot:q:a", version), is_unknown=False)
    assert journal.due(10).keys == {"bot:q:a": 8}


def test_a_tombstone_that_arrived_settles_what_was_noted_before_it_left(journal: Journal):
    journal.note(_write("bot:q:a"), is_unknown=False)
    journal.note(_write("bot:q:b"), is_unknown=True)
    sent = journal.stamp
    journal.note(_write("bot:q:c"), is_unknown=False)
    journal.done(Bury(("bot:q:a", "bot:q:b", "bot:q:c"), (b"",) * 3, 1), sent)
    assert journal.due(10, is_last=True).keys == {"bot:q:b": 0, "bot:q:c": 0}


def test_too_many_names_make_their_region_void_as_a_whole(journal: Journal):
    for number in range(3):
        journal.note(_write(f"bot:q:{number}"), is_unknown=False)
    journal.note(_write("bot:r:1"), is_unknown=False)
    journal.note(_write("bot:q:3"), is_unknown=False)
    journal.note(_write("bot:q:4"), is_unknown=False)
    due = journal.due(10)
    assert (due.keys, due.prefixes) == ({"bot:r:1": 0}, ("bot:q:",))
    reads = [Read(("bot:q:never written",)), Read((), ("bot:@all:q",)), Read(("bot:r:2",), ("bot:@all:r",))]
    assert [journal.touches(read) for read in reads] == [True, True, False]


def test_too_many_tags_make_their_region_void_as_a_whole(journal: Journal):
    for number in range(5):
        journal.note(Bump((f"bot:@tag:q:{number}",), 1), is_unknown=False)
    assert journal.due(10) == Due(6, prefixes=("bot:q:",))


def test_a_batch_is_no_larger_than_asked(journal: Journal):
    for number in range(4):
        journal.note(_write(f"bot:q:{number}"), is_unknown=False)
    assert list(journal.due(3).keys) == ["bot:q:0", "bot:q:1", "bot:q:2"]


def test_reads_and_claims_make_nothing_void(journal: Journal):
    assert not journal.note(Read(("bot:q:a",)), is_unknown=True)
    assert not journal.note(Claim("bot:@claim:q:a", b"me", 1), is_unknown=True)
    assert (journal.is_dirty, journal.statistics()) == (False, JournalStatistics(0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("name", "region", "epoch"),
    [
        ("bot:q:a:b", "bot:q:", "bot:@all:q"),
        ("bot:@tag:q:usd", "bot:q:", "bot:@all:q"),
        ("bot:@all:q", "bot:q:", "bot:@all:q"),
    ],
)
def test_a_name_tells_its_region(name: str, region: str, epoch: str):
    assert (region_of(name), epoch_of(region_of(name))) == (region, epoch)


def test_a_part_of_a_region_has_no_number_of_its_own():
    assert epoch_of("bot:q:AA") is None


def test_it_says_what_waits(journal: Journal):
    journal.note(_write("bot:q:a"), is_unknown=False)
    assert repr(journal) == "<Journal 1 keys, 0 epochs, 0 prefixes>"
    journal.forget()
    assert (journal.is_dirty, journal.statistics()) == (False, JournalStatistics(0, 0, 0, 0, 0))
