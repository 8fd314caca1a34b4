"""Samples on their way through the spool: what goes in comes out, and what is missed is counted."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.profiles import Frame, Link, Profile, Sample
from tickspan.profiler.records import About, Captured, Minute, Recorder, captured_record, parse, profile_of
from tickspan.profiler.sampler import Seen
from tickspan.profiler.states import State
from tickspan.profiler.tables import Tables

S = 1_000_000_000
LINK = Link(0xA1, 0xB2)
ABOUT = About("bot", "1.2", is_exported=True)
PRICE = Frame("price", "/bot/pricing.py", 7, 3)
MAIN = Frame("<module>", "/bot/main.py", 9, 1)


def tables() -> Tables:
    """Two stacks, of two frames and of one."""
    made = Tables()
    made.frames = {0: PRICE, 1: MAIN}
    made.stacks = {0: (), 1: (0, 1), 2: (1,)}
    return made


def seen(at_s: float, stack: int = 1, link: Link | None = LINK, state: State = State.CPU) -> Seen:
    return Seen(round(at_s * S), stack, "MainThread", state, link, S // 10)


class Spool:
    """Keeps what is appended."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.items: list[int] = []
        self.tables = tables()
        self.recorder = Recorder(ABOUT, self.append, lambda: self.tables, lambda: S // 10)

    def append(self, record: bytes, items: int) -> None:
        self.records.append(record)
        self.items.append(items)

    def add(self, *samples: Seen) -> None:
        for one in samples:
            self.recorder.add(one)
        self.recorder.flush()

    def minute(self) -> Minute:
        chunks = [parse(record) for record in self.records]
        minute = Minute.of(chunks[0])
        for chunk in chunks:
            minute.add(chunk)
        return minute


def test_a_second_of_samples_is_one_record_and_a_stack_is_named_once():
    spool = Spool()
    spool.add(seen(100), seen(100.1), seen(100.9, 2, None, State.IO), seen(101.0), seen(101.5, 0, None))
    assert spool.items == [3, 2]
    assert [parse(record).stacks for record in spool.records] == [{1: (0, 1), 2: (1,)}, {0: ()}]
    assert spool.minute().profile() == Profile(
        "bot",
        "1.2",
        os.getpid(),
        100 * S,
        3 * S // 2,
        S // 10,
        (PRICE, MAIN),
        ((), (0, 1), (1,)),
        (
            Sample(1, "MainThread", "cpu", LINK, 3, 3 * S // 10),
            Sample(2, "MainThread", "io", None, 1, S // 10),
            Sample(0, "MainThread", "cpu", None, 1, S // 10),
        ),
    )


def test_a_sample_of_a_known_stack_takes_a_few_dozen_bytes():
    spool = Spool()
    spool.add(seen(100), seen(101))
    spool.add(*[seen(102, link=Link(1, number)) for number in range(1, 101)])
    lengths = [len(record) for record in spool.records]
    assert (lengths[2] - lengths[1]) / 99 <= 48


def test_the_next_minute_names_everything_again():
    spool = Spool()
    spool.add(seen(100), seen(159.9), seen(160.1))
    chunks = [parse(record) for record in spool.records]
    assert [(chunk.started_unix_ns // S, chunk.frames) for chunk in chunks] == [
        (100, {0: PRICE, 1: MAIN}),
        (100, {}),
        (160, {0: PRICE, 1: MAIN}),
    ]


def test_after_a_fork_the_child_begins_anew_without_what_its_parent_had_to_write():
    spool = Spool()
    spool.recorder.add(seen(100))
    spool.tables = tables()
    spool.add(seen(100.2, 2))
    (chunk,) = map(parse, spool.records)
    assert (chunk.started_unix_ns, chunk.frames, len(chunk.rows)) == (round(100.2 * S), {1: MAIN}, 1)


def test_a_clock_that_is_set_back_begins_a_minute():
    spool = Spool()
    spool.add(seen(100), seen(40))
    assert [parse(record).started_unix_ns // S for record in spool.records] == [100, 40]


def test_a_record_does_not_grow_without_bound():
    spool = Spool()
    spool.add(*[seen(100, link=Link(1, number)) for number in range(1, 12_001)])
    assert spool.items == [5_000, 5_000, 2_000]


def test_samples_whose_names_were_missed_are_counted_and_the_next_minute_is_whole():
    spool = Spool()
    spool.add(seen(100), seen(101, 2), seen(102, 2), seen(160.5, 2))
    first, _, third, fourth = map(parse, spool.records)
    late = Minute.of(third)
    late.add(third)
    gap = Minute.of(first)
    gap.add(first)
    gap.add(third)
    following = Minute.of(fourth)
    following.add(fourth)
    assert [(one.lost, len(one.profile().samples)) for one in (late, gap, following)] == [
        (1, 0),
        (1, 1),
        (0, 1),
    ]


def test_a_captured_trace_needs_no_other_record():
    captured = Captured("ab" * 16, "slow", "order", LINK, 3)
    record = captured_record(
        ABOUT, [seen(10), seen(10.1), seen(10.2, 2)], tables(), (10 * S, 11 * S, S // 10), captured
    )
    chunk = parse(record)
    assert (chunk.captured, chunk.about) == (captured, ABOUT)
    profile = profile_of(chunk)
    assert (profile.started_unix_ns, profile.duration_ns, profile.lost) == (10 * S, S, 3)
    assert [(profile.frames_of(one), one.link, one.count) for one in profile.samples] == [
        ((PRICE, MAIN), LINK, 2),
        ((MAIN,), LINK, 1),
    ]


def test_names_that_are_no_text_travel_too():
    odd_tables = tables()
    odd = odd_tables.frames[0] = Frame("f\udc80", "/x/\udcff.py", 1, 1)
    record = captured_record(
        ABOUT, [seen(1)], odd_tables, (S, S, S), Captured("00" * 16, "slow", "\ud800", LINK)
    )
    assert parse(record).frames == {0: odd, 1: MAIN}


@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_are_refused(data: bytes):
    with pytest.raises(ValueError, match="expected a record of samples"):
        parse(data)


@given(st.data())
def test_a_damaged_record_is_refused_or_harmless(data: st.DataObject):
    whole = bytearray(
        captured_record(ABOUT, [seen(1)], tables(), (S, S, S), Captured("00" * 16, "slow", "order", LINK))
    )
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        chunk = parse(bytes(whole))
    except ValueError:
        return
    profile = profile_of(replace(chunk, captured=None))
    assert sum(one.count for one in profile.samples) + profile.lost == sum(row[4] for row in chunk.rows)
