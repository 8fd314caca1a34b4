"""Schedules, scripts, tables and the list of cases, from values."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from benchmarks.faults.acts import ACTS
from benchmarks.faults.case import Case
from benchmarks.faults.cases import CASES
from benchmarks.faults.network.answers import ACCEPT, Answer, Script, http_bytes, refusals, retry_after_forms
from benchmarks.faults.network.schedule import Mode, Phase, Schedule, down
from benchmarks.faults.table import Circumstances, Row, markdown
from benchmarks.faults.verdict import Verdict, skipped

CIRCUMSTANCES = Circumstances("2026-01-01 00:00 UTC", "2 cores", "CPython 3.11", {"tickspan": "0.1"}, 7)


@pytest.mark.parametrize(
    ("elapsed_s", "phase"),
    [(0.0, (0, Mode.PASS)), (0.5, (1, Mode.REFUSE)), (1.9, (1, Mode.REFUSE)), (2.0, (2, Mode.PASS))],
)
def test_a_schedule_goes_through_its_phases_and_ends_well(elapsed_s: float, phase: tuple[int, Mode]):
    assert down(Mode.REFUSE, 1.5, after_s=0.5).at(elapsed_s) == phase


def test_each_turn_of_a_repeated_schedule_is_a_phase_of_its_own():
    flapping = Schedule((Phase(Mode.PASS, 1.0), Phase(Mode.RESET, 1.0)), is_repeated=True)
    assert [flapping.at(second) for second in range(4)] == [
        (0, Mode.PASS),
        (1, Mode.RESET),
        (2, Mode.PASS),
        (3, Mode.RESET),
    ]


def test_a_script_answers_in_turn_until_its_time_is_over():
    script = Script((Answer(500), Answer(501)), seconds=2.0)
    assert [script.answer(number, number).status for number in range(3)] == [500, 501, 200]


def test_an_alternating_script_accepts_after_each_refusal():
    script = Script((Answer(503), Answer(429)), is_alternating=True)
    assert [script.answer(number, 0.0).status for number in range(5)] == [503, 200, 429, 200, 200]


def test_an_answer_on_the_wire():
    assert http_bytes(Answer(503, {"Retry-After": "1"}, b"no")) == (
        b"HTTP/1.1 503 Scripted\r\n"
        b"Content-Type: application/x-protobuf\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nno"
    )
    assert http_bytes(Answer(raw=b"noise")) == b"noise"
    assert http_bytes(ACCEPT).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_date_is_a_second_away_in_each_form():
    forms = retry_after_forms(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert {name: form for name, form in forms.items() if "date" in name} == {
        "date": "Fri, 02 Jan 2026 03:04:06 GMT",
        "date long ago": "Thu, 01 Jan 2026 03:04:05 GMT",
        "date without zone": "Fri, 02 Jan 2026 03:04:06",
        "RFC 850 date": "Friday, 02-Jan-26 03:04:06 GMT",
        "asctime date": "Fri Jan 02 03:04:06 2026",
    }


def test_refusals_begin_without_the_header():
    assert [answer.headers for answer in refusals(429, {"one": "1"})] == [{}, {"Retry-After": "1"}]


def test_no_two_cases_share_a_name():
    assert [name for name, times in Counter(case.name for case in CASES).items() if times > 1] == []


def test_every_case_plays_an_act_that_exists():
    assert {case.act for case in CASES} - set(ACTS) == set()


def test_a_quick_run_touches_every_family():
    families = {case.family for case in CASES}
    assert families - {case.family for case in CASES if case.is_quick} == {"Retry-After"}


def test_a_table_tells_verdicts_sums_and_reasons():
    lost = Verdict(3, 0, 0, 1, 12.4, 0.5, 2.0, 10, "-", ("lost 3 traces",), 9)
    good = Verdict(0, 1, 0, 0, 0.2, None, 0.0, 0, "exact", (), 9)
    rows = [
        Row(Case("refused", "connection"), {"stock": lost, "tickspan": good}),
        Row(Case("full disk", "disk"), {"stock": skipped("needs root"), "tickspan": good}),
    ]
    assert markdown(CIRCUMSTANCES, rows, ["stock", "tickspan"]) == (
        """\
2026-01-01 00:00 UTC; 2 cores; CPython 3.11; tickspan 0.1; seed 7

| family | case | contender | | lost | doubled | raised | longest ms | exit s | MiB | stderr | ledger |
|---|---|---|---|--:|--:|--:|--:|--:|--:|--:|---|
| connection | refused | stock | **FAIL** | 3 of 9 | 0 | 1 | 12 | 0.5 | 2 | 10 | - |
| connection | refused | tickspan | pass | 0 | 1 | 0 | 0 | - | 0 | 0 | exact |
| disk | full disk | tickspan | pass | 0 | 1 | 0 | 0 | - | 0 | 0 | exact |

stock: 0 of 1 cases passed; 3 of 9 ended records lost.
  not run, needs root: 1 cases, such as full disk.
tickspan: 2 of 2 cases passed; 0 of 18 ended records lost.

What stock failed by:

- connection / refused: lost 3 traces

What tickspan failed by:

- nothing."""
    )
