"""How a run of a case is judged, from values."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.faults.case import Rules
from benchmarks.faults.outside import Facts, read
from benchmarks.faults.verdict import Accounts, Evidence, judge

FACTS = Facts(
    ended={"traces": Counter("abc"), "logs": Counter("xy")},
    possible={"traces": {"d"}, "logs": set()},
    counted=3,
    longest_ms=4.0,
    longest_call="end",
)
GOOD = Evidence(
    facts=FACTS,
    arrived={"traces": Counter("abc"), "logs": Counter("xy")},
    counted=3,
    exit_s=0.1,
)
BALANCED = {"traces": Accounts(3, 3, 0), "logs": Accounts(2, 2, 0)}


def failures(seen: Evidence, rules: Rules | None = None, *, is_ours: bool = False) -> tuple[str, ...]:
    return judge(rules or Rules(), seen, is_ours=is_ours).failures


def test_a_run_without_fault_passes():
    verdict = judge(Rules(), GOOD, is_ours=False)
    assert (verdict.has_passed, verdict.lost, verdict.doubled, verdict.ended) == (True, 0, 0, 5)


@pytest.mark.parametrize(
    ("seen", "failure"),
    [
        (
            replace(GOOD, arrived={"traces": Counter("a"), "logs": Counter("xy")}),
            "lost 2 traces (no. 2 to 3 of 3)",
        ),
        (replace(GOOD, arrived={"traces": Counter("aabc"), "logs": Counter("xy")}), "doubled 1"),
        (replace(GOOD, counted=6), "the counter says 6, not 3"),
        (replace(GOOD, changed=1), "1 spans arrived with other attributes"),
        (replace(GOOD, unreadable=2), "2 requests were no OTLP"),
        (replace(GOOD, status=1), "ended with status 1, not 0"),
        (replace(GOOD, status=None), "did not end"),
        (replace(GOOD, exit_s=3.0), "exit took 3.0 s"),
        (replace(GOOD, stdout_bytes=4), "wrote 4 bytes to standard output"),
        (replace(GOOD, holds_output=True), "keeps the program's standard output open"),
        (replace(GOOD, stderr="x" * 3000), f"printed 3000 bytes: {'x' * 160}"),
        (
            replace(GOOD, facts=replace(FACTS, raised=("end: ValueError: no",))),
            "raised 1 times, first end: ValueError: no",
        ),
        (replace(GOOD, facts=replace(FACTS, longest_ms=900.0)), "end took 900 ms"),
        (replace(GOOD, facts=replace(FACTS, grown_mib=100.0)), "grew by 100 MiB"),
        (replace(GOOD, facts=replace(FACTS, notes=("a child hung",))), "a child hung"),
    ],
)
def test_each_fault_is_a_failure_of_its_own(seen: Evidence, failure: str):
    assert failures(seen) == (failure,)


def test_a_workload_that_recorded_nothing_proves_nothing():
    assert failures(Evidence()) == ("nothing was recorded",)


def test_a_record_that_was_about_to_end_may_arrive_or_not():
    assert failures(replace(GOOD, arrived={"traces": Counter("abcd"), "logs": Counter("xy")})) == ()


def test_what_a_case_allows_to_be_lost_is_no_failure():
    seen = replace(GOOD, arrived={"traces": Counter("ab"), "logs": Counter("xy")})
    assert failures(seen, Rules(lost=1)) == ()


def test_what_is_kept_in_the_spool_is_not_lost_when_the_network_never_heals():
    seen = replace(
        GOOD,
        arrived={},
        counted=0,
        accounts={name: Accounts(3, 0, 3) for name in ("traces", "metrics", "logs")},
    )
    assert judge(Rules(may_be_kept=True), seen, is_ours=False).lost == 0


@pytest.mark.parametrize(
    ("accounts", "failure"),
    [
        (BALANCED, None),
        (None, "ledger: none"),
        ({"traces": Accounts(3, 3, 0)}, "ledger: nothing about logs"),
        (
            BALANCED | {"traces": Accounts(3, 2, 0)},
            "ledger: traces do not add up by 1: ended 3, delivered 2, in spool 0, no drops",
        ),
        (BALANCED | {"traces": Accounts(5, 5, 0)}, "ledger: traces: 5 ended, 3 in truth"),
        (
            BALANCED | {"traces": Accounts(3, 2, 0, {"torn": 1})},
            "ledger: traces: 2 delivered, 3 arrived: ended 3, delivered 2, in spool 0, torn 1",
        ),
    ],
)
def test_our_ledger_is_held_against_the_outside_one(
    accounts: dict[str, Accounts] | None, failure: str | None
):
    found = failures(replace(GOOD, accounts=accounts), is_ours=True)
    assert found == (() if failure is None else (failure,))


def test_a_loss_that_is_allowed_must_still_be_counted():
    seen = replace(
        GOOD,
        arrived={"traces": Counter("a"), "logs": Counter("xy")},
        accounts=BALANCED | {"traces": Accounts(3, 1, 1, {"refused": 1})},
    )
    assert failures(seen, Rules(lost=2), is_ours=True) == ("1 of the lost are counted nowhere",)


def test_ours_is_silent_where_nothing_is_lost():
    seen = replace(GOOD, stderr="telemetry is slow today\n", accounts=BALANCED)
    assert failures(seen, is_ours=True) == ("had something to say: telemetry is slow today",)
    assert failures(seen, is_ours=False) == ()


def test_an_outside_ledger_is_read_up_to_the_line_that_death_cut():
    lines = [
        "7 begun-traces a\n",
        "7 ended-traces a\n",
        "7 longest 12.5 set_attribute key\n",
        "8 begun-traces b\n",
        "7 counted 4\n",
        "8 counted 1\n",
        "7 raised end: TypeError: no\n",
        "7 grown 1.5\n",
        "7 note odd\n",
        "7 end 12.250000\n",
        "8 ended-tra",
    ]
    assert read(lines) == Facts(
        ended={"traces": Counter("a"), "logs": Counter()},
        possible={"traces": {"b"}, "logs": set()},
        counted=5,
        raised=("end: TypeError: no",),
        longest_ms=12.5,
        longest_call="set_attribute key",
        end_of_main={7: 12.25},
        grown_mib=1.5,
        notes=("odd",),
    )
