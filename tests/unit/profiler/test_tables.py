"""Tables of frames and stacks: each entry once, bounded."""

from __future__ import annotations

from tickspan.analysis.profiles import Frame
from tickspan.profiler.tables import NOWHERE, Tables


def one() -> int:
    return 1


def two() -> int:
    return 2


def test_a_stack_has_one_number_and_its_frames_are_told_by_name_and_line():
    tables = Tables()
    key, codes = (id(one.__code__), 0, id(two.__code__), 0), [one.__code__, two.__code__]
    number = tables.stack(key, codes)
    assert (number, tables.stack(key, codes)) == (1, 1)
    assert [tables.frames[index][:2] for index in tables.stacks[number]] == [
        ("one", __file__),
        ("two", __file__),
    ]
    assert {type(frame) for frame in tables.frames.values()} == {Frame}


def test_a_shared_frame_is_kept_once():
    tables = Tables()
    tables.stack((id(one.__code__), 0), [one.__code__])
    tables.stack((id(two.__code__), 0, id(one.__code__), 0), [two.__code__, one.__code__])
    assert tables.stacks == {0: (), 1: (0,), 2: (1, 0)}


def test_what_finds_no_room_is_counted_each_time_and_what_is_known_stays():
    tables = Tables(most_frames=1, most_stacks=10)
    known = tables.stack((id(one.__code__), 0), [one.__code__])
    assert [tables.stack((id(two.__code__), 0), [two.__code__]) for _ in range(3)] == [NOWHERE] * 3
    assert (tables.overflowed, tables.stack((id(one.__code__), 0), [one.__code__])) == (3, known)
    full = Tables(most_stacks=1)
    assert (full.stack((id(one.__code__), 0), [one.__code__]), full.overflowed) == (NOWHERE, 1)


def test_what_is_forgotten_makes_room_and_what_is_left_keeps_its_number():
    tables = Tables(most_frames=2, most_stacks=3)
    first = tables.stack((id(one.__code__), 0), [one.__code__])
    second = tables.stack((id(two.__code__), 0), [two.__code__])
    assert (tables.is_crowded, tables.stack((id(two.__code__), 2), [two.__code__])) == (True, NOWHERE)
    tables.forget([second])
    third = tables.stack((id(one.__code__), 0), [one.__code__])
    assert (first, second, third) == (1, 2, 3)
    assert [[frame.name for frame in tables.names(number)] for number in (first, second, third)] == [
        [],
        ["two"],
        ["one"],
    ]
    assert tables.stack((id(two.__code__), 0), [two.__code__]) == second


def test_who_reads_while_something_is_forgotten_goes_on_with_what_was():
    tables = Tables()
    number = tables.stack((id(one.__code__), 0), [one.__code__])
    frames, stacks = tables.frames, tables.stacks
    tables.forget([])
    assert [frames[frame].name for frame in stacks[number]] == ["one"]


def test_the_tables_of_a_profile_have_no_gaps_and_each_entry_once():
    tables = Tables()
    key, codes = (id(one.__code__), 0), [one.__code__]
    numbers = [tables.stack(key, codes), tables.stack((id(two.__code__), 0, *key), [two.__code__, *codes])]
    tables.forget(numbers[1:])
    compact = tables.compact([NOWHERE, *numbers])
    assert [frame.name for frame in compact.frames] == ["two", "one"]
    assert (compact.stacks, compact.places) == (((), (0, 1)), {0: 0, 1: 0, 2: 1})
