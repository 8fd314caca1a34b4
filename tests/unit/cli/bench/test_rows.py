"""The table of `tickspan bench`: how figures stand to their targets, for people and for programs."""

from __future__ import annotations

import json

import pytest

from tickspan.cli.bench import rows
from tickspan.cli.bench.report import Figure
from tickspan.cli.bench.rows import Row, Standing, Table, exit_status, publish_table

MET = Row.of("memory", Figure("GET", "below 1 ms", "2 us", "one thread", "the interpreter", is_met=True))
MISSED = Row.of("redis", Figure("SET", "below 5 ms", "9 ms", "one task", "the wire", is_met=False))
WATCHED = Row.of_rule("cpu", Figure("CPUs", "below 70 %", "rule CpuTarget", "tests", "", is_met=True))
UNMEASURED = Row.unmeasured("postgresql", "SELECT", "50 ms", "give --database")


def test_a_row_stands_as_its_figure_does():
    assert [row.standing for row in (MET, MISSED, WATCHED, UNMEASURED)] == [
        Standing.MET,
        Standing.MISSED,
        Standing.WATCHED,
        Standing.NOT_MEASURED,
    ]


def test_a_rule_that_does_not_do_what_its_tests_want_is_missed():
    assert Row.of_rule("cpu", MISSED.figure).standing is Standing.MISSED


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ((MET, WATCHED), 0),
        ((WATCHED,), 0),
        ((MET, UNMEASURED), 0),
        ((MET, MISSED, UNMEASURED), 1),
        ((UNMEASURED,), 2),
        ((), 2),
    ],
)
def test_the_exit_status_tells_met_missed_or_nothing_measured(given: tuple[Row, ...], status: int):
    assert exit_status(given) == status


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(rows.os, "getloadavg", lambda: (1_000.0, 1.0, 1.0))
    publish_table(Table((MISSED,), 1.0), as_json=False)
    assert capsys.readouterr().out.splitlines()[2].startswith("other programs keep the processors busy")


def test_the_table_has_all_rows_and_the_facts_of_those_that_were_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(rows.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    assert publish_table(Table((MET, UNMEASURED), 1_000_000), as_json=False) == 0
    machine, empty, *lines = capsys.readouterr().out.splitlines()
    assert machine.startswith("tickspan ")
    assert [empty, *lines] == [
        "an empty Python function is called 1,000,000 times a second here",
        "",
        "                     row  target      here",
        "         met      memory  below 1 ms  2 us",
        "not measured  postgresql  50 ms       give --database",
        "",
        "met: memory: GET",
        "  target  below 1 ms",
        "  here    2 us",
        "  how     one thread",
        "  limit   the interpreter",
    ]


def test_data_have_all_rows_and_the_exit_status(capsys: pytest.CaptureFixture[str]):
    assert publish_table(Table((MISSED, UNMEASURED), 5.0), as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert told.pop("where")["empty_function_per_second"] == 5.0
    assert told == {
        "rows": [
            {
                "name": "redis",
                "standing": "missed",
                "what": "SET",
                "target": "below 5 ms",
                "found": "9 ms",
                "method": "one task",
                "limit": "the wire",
            },
            {
                "name": "postgresql",
                "standing": "not measured",
                "what": "SELECT",
                "target": "50 ms",
                "found": "give --database",
                "method": "",
                "limit": "",
            },
        ],
        "exit_status": 1,
    }
