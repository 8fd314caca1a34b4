"""Links of samples as a report tells them."""

from __future__ import annotations

from benchmarks.runtime import spanned
from benchmarks.runtime.links import COMPILED, INTERPRETED, KINDS, faults, section, targets


def counted(within: int, linked: int, wrong: int) -> dict[str, int]:
    return {"within": within, "linked": linked, "wrong": wrong}


def all_kinds(compiled: dict[str, int], interpreted: dict[str, int]) -> dict[tuple[str, str], dict[str, int]]:
    forms = {COMPILED: compiled, INTERPRETED: interpreted}
    return {(kind, form): answer for kind in KINDS for form, answer in forms.items()}


def test_the_kinds_are_those_that_the_child_knows():
    assert KINDS == spanned.KINDS


def test_samples_that_all_have_their_own_span_meet_both_targets_and_are_no_fault():
    counts = all_kinds(counted(1_000, 995, 0), counted(1_000, 0, 0))
    assert [(target.found, target.is_met) for target in targets(counts)] == [
        ("0 of 14,000", True),
        ("99.5 %", True),
    ]
    assert faults(counts, 1_000) == []


def test_a_wrong_link_is_a_fault_and_so_are_too_few_samples():
    counts = all_kinds(counted(1_000, 1_000, 0), counted(1_000, 10, 0))
    counts["uvloop", INTERPRETED] = counted(1_000, 10, 1)
    counts["threads", COMPILED] = counted(40, 40, 0)
    assert faults(counts, 1_000) == [
        "links: uvloop, interpreted: 1 of 1000 samples have another span",
        "links: threads, compiled: expected 1000 samples within spans, got 40",
    ]
    assert [target.is_met for target in targets(counts)] == [False, True]


def test_links_that_are_missing_are_told_by_the_worst_kind():
    counts = all_kinds(counted(1_000, 1_000, 0), counted(1_000, 0, 0))
    counts["executors", COMPILED] = counted(1_000, 980, 0)
    assert [(target.found, target.is_met) for target in targets(counts)][1] == ("98 %", False)


def test_a_kind_that_cannot_be_had_is_told_with_its_reason():
    missing = {"missing": "gevent is not installed"}
    counts = {**all_kinds(counted(10, 10, 0), counted(10, 5, 0))}
    told = section(
        "3.11.7", {**counts, ("greenlets", COMPILED): missing, ("greenlets", INTERPRETED): missing}, 10
    )
    assert told.faults == ()
    assert told.tables[0].rows[0] == ("asyncio tasks", "10", "100 %", "0", "10", "50 %", "0")
    assert told.tables[0].rows[-1] == ("greenlets", *("gevent is not installed", "", "") * 2)
