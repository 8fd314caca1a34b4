"""The chain of audit lines: any change, removal or swap is named, and so is what never came."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickspan.logs.chain import START, Chain, Fault, verify

KEY = b"k"


def line(sequence: int, process: str = "7") -> dict[str, Any]:
    return {
        "message": f"limit {sequence}",
        "fields": {"price": 0.1},
        "uid": f"{process}-{sequence}",
        "audit": {"sequence": sequence},
    }


def chained(count: int, key: bytes | None = None) -> list[bytes]:
    chain = Chain(key)
    return [chain.add(line(number)) for number in range(1, count + 1)]


def placed(lines: list[bytes]) -> list[tuple[str, bytes]]:
    return [(f"f:{number}", text) for number, text in enumerate(lines, 1)]


def test_a_whole_chain_is_whole():
    lines = chained(5)
    verdict = verify(placed(lines))
    assert (verdict.first, verdict.last, verdict.is_whole, verdict.gaps) == (1, 5, True, ())
    assert verdict.head in lines[-1].decode()
    assert verify([]).head == START


def test_a_chain_goes_on_after_a_restart():
    chain = Chain()
    first = chain.add(line(1))
    again = Chain()
    again.resume({"audit": {"link": chain.link, "hash": chain.head}})
    assert verify(placed([first, again.add(line(2))])).is_whole


def change_a_word(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b"limit 3", b"limit 9"), *lines[3:]]


def change_white_space(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b'"fields":', b'"fields": '), *lines[3:]]


def change_the_first(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"limit 1", b"limit 0"), *lines[1:]]


def take_one_away(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], *lines[3:]]


def swap_two(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def repeat_one(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[1], *lines[3:]]


def add_an_empty_one(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], b"", *lines[3:]]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (change_a_word, ("changed", 3, "f:3")),
        (change_white_space, ("changed", 3, "f:3")),
        (change_the_first, ("changed", 1, "f:1")),
        (take_one_away, ("missing", 3, "f:3")),
        (swap_two, ("missing", 2, "f:2")),
        (repeat_one, ("moved", 4, "f:4")),
        (add_an_empty_one, ("unreadable", 4, "f:4")),
    ],
)
def test_the_first_record_that_is_not_as_it_was_is_named(
    spoil: Callable[[list[bytes]], list[bytes]], expected: tuple[str, int, str]
):
    fault = verify(placed(spoil(chained(5)))).fault
    assert fault is not None
    assert (fault.kind, fault.link, fault.where) == expected


LENGTH = 7
Tampering = tuple[list[bytes], int]
"""Lines, and the link at which a fault is to be named."""


def forged(link: int, after: bytes) -> bytes:
    """A line with its right number, and a hash that somebody without the key has made up."""
    made = Chain(b"another key", link - 1, json.loads(after)["audit"]["hash"] if after else START)
    return made.add(line(99))


@st.composite
def tamperings(draw: st.DrawFn) -> Tampering:
    """One change of a chain that leaves its last link in place, or cuts a line."""
    lines = chained(LENGTH, KEY)
    at = draw(st.integers(0, LENGTH - 2))
    kind = draw(st.sampled_from(["change", "remove", "swap", "copy", "forge", "cut", "remove first"]))
    if kind == "change":
        byte = draw(st.integers(0, len(lines[at]) - 2))
        other = draw(st.integers(0, 255).filter(lambda one: one not in {lines[at][byte], ord("\n")}))
        lines[at] = lines[at][:byte] + bytes([other]) + lines[at][byte + 1 :]
    elif kind == "remove":
        del lines[at : draw(st.integers(at + 1, LENGTH - 1))]
    elif kind == "swap":
        with_ = draw(st.integers(at + 1, LENGTH - 1))
        lines[at], lines[with_] = lines[with_], lines[at]
    elif kind == "copy":
        lines.insert(at, lines[draw(st.integers(0, LENGTH - 1).filter(lambda one: one != at))])
    elif kind == "forge":
        lines.insert(at, forged(at + 1, lines[at - 1] if at else b""))
    elif kind == "cut":
        lines[at] = lines[at][: draw(st.integers(0, len(lines[at]) - 2))]
    else:
        del lines[: at + 1]
        at = 0
    return lines, at + 1


@given(tamperings())
@settings(max_examples=300, deadline=None)
def test_whatever_is_done_to_a_chain_the_first_record_that_it_touches_is_named(tampering: Tampering):
    lines, link = tampering
    fault = verify(placed(lines), [KEY]).fault
    assert fault is not None
    assert (fault.link, fault.where) == (link, f"f:{link}")


@given(st.integers(0, LENGTH - 1))
def test_a_tail_that_is_cut_off_is_found_by_the_witness_only(kept: int):
    lines = chained(LENGTH, KEY)
    told = (LENGTH, verify(placed(lines), [KEY]).head)
    assert verify(placed(lines[:kept]), [KEY]).is_whole
    assert verify(placed(lines[:kept]), [KEY], [told]).fault == Fault("missing", kept + 1, "end of the files")


def test_a_chain_that_is_made_anew_with_the_right_key_is_found_by_the_witness():
    told = [(2, verify(placed(chained(2, KEY)), [KEY]).head)]
    chain = Chain(KEY)
    lines = [chain.add(line(number)) for number in (1, 9, 3)]
    assert verify(placed(lines), [KEY]).is_whole
    assert verify(placed(lines), [KEY], told).fault == Fault("changed", 2, "f:2", "7-9")


def test_keys_follow_one_another_and_a_past_one_is_worth_nothing():
    chain = Chain(None)
    lines = [chain.add(line(1))]
    for number, key in ((2, KEY), (3, KEY), (4, b"new"), (5, b"new")):
        chain.key = key
        lines.append(chain.add(line(number)))
    assert verify(placed(lines), [None, KEY, b"new"]).is_whole
    assert verify(placed(lines), [KEY, b"new"]).fault == Fault("changed", 1, "f:1", "7-1")
    assert verify(placed(lines), [None, b"new"]).fault == Fault("changed", 2, "f:2", "7-2")
    chain.key = KEY
    lines.append(chain.add(line(6)))
    assert verify(placed(lines), [None, KEY, b"new"]).fault == Fault("changed", 6, "f:6", "7-6")


def test_what_was_cut_off_is_seen_by_who_knows_a_later_head():
    lines = chained(5)
    head = verify(placed(lines)).head
    assert verify(placed(lines), witnesses=[(5, head)]).is_whole
    cut = verify(placed(lines[:3]), witnesses=[(5, head)])
    assert cut.fault == Fault("missing", 4, "end of the files")
    made_anew = [Chain().add(line(9))]
    assert not verify(placed(made_anew), witnesses=[(1, verify(placed(lines[:1])).head)]).is_whole


def test_without_the_key_nobody_can_make_a_chain():
    lines = chained(3, KEY)
    assert verify(placed(lines), [KEY]).is_whole
    assert not verify(placed(lines)).is_whole
    assert not verify(placed(chained(3)), [KEY]).is_whole


def test_the_rest_of_a_chain_whose_first_files_are_elsewhere_is_looked_at_when_that_is_said():
    lines = chained(5)
    rest = verify(placed(lines[2:]), is_partial=True)
    assert (rest.first, rest.last, rest.is_whole) == (3, 5, True)
    assert verify(placed(lines[2:])).fault == Fault("missing", 1, "f:1", "7-3")
    spoilt = [lines[2], lines[3].replace(b"limit 4", b"limit 0"), lines[4]]
    assert verify(placed(spoilt), is_partial=True).fault == Fault("changed", 4, "f:2", "7-4")


def test_a_head_that_is_known_stands_for_what_was_before_it():
    lines = chained(5)
    told = [(2, verify(placed(lines[:2])).head)]
    assert verify(placed(lines[2:]), witnesses=told).is_whole
    spoilt = [lines[2].replace(b"limit 3", b"limit 0"), *lines[3:]]
    assert verify(placed(spoilt), witnesses=told).fault == Fault("changed", 3, "f:1", "7-3")


def test_records_that_never_came_are_named():
    chain = Chain()
    lines = [chain.add(line(number)) for number in (1, 2, 5)] + [chain.add(line(2, "8"))]
    verdict = verify(placed(lines))
    assert (verdict.is_whole, verdict.gaps) == (True, ("7: 3 to 4", "8: 1 to 1"))


def test_a_fault_reads_well():
    assert (
        str(Fault("changed", 3, "oms-audit-1.jsonl:3", "7-3"))
        == "oms-audit-1.jsonl:3: link 3 is changed (7-3)"
    )
