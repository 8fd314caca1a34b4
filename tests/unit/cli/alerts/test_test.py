"""`tickspan alerts test`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Tickspan = Callable[..., tuple[int, str, str]]


def test_tests_that_come_true_are_counted(tickspan: Tickspan):
    assert tickspan("test", "alerts_test.yaml") == (0, "1 test, 0 failures\n", "")


def test_a_failure_tells_what_was_expected_and_what_came(tickspan: Tickspan, folder: Path):
    path = folder / "alerts_test.yaml"
    path.write_text(path.read_text().replace("0 trades of desk", "no trades"))
    labels = '{instance="a", job="desk", scope="process", severity="error"}'
    assert tickspan("test", "alerts_test.yaml") == (
        1,
        (
            "alerts_test.yaml: a desk that stops trading\n"
            "  FewTrades at 240 s\n"
            f"  expected {labels} {{'summary': 'no trades'}}\n"
            f"  got      {labels} {{'summary': '0 trades of desk'}}\n"
            "1 test, 1 failure\n"
        ),
        "",
    )


def test_the_answer_is_data_too(tickspan: Tickspan, folder: Path):
    path = folder / "alerts_test.yaml"
    path.write_text(path.read_text().replace("alertname: FewTrades}", "alertname: MoreTrades}"))
    status, told, _ = tickspan("test", "alerts_test.yaml", "--json")
    failure = {
        "test": "a desk that stops trading",
        "at_s": 120.0,
        "subject": "MoreTrades",
        "expected": ["a rule of this name"],
        "got": [],
    }
    assert status == 1
    assert json.loads(told) == {
        "files": [
            {"file": "alerts_test.yaml", "tests": 1, "problems": [], "failures": [failure], "oracle": ""}
        ]
    }


def test_problems_of_tests_and_of_their_rules_are_told(tickspan: Tickspan, folder: Path):
    (folder / "other.yaml").write_text("rule_files: [none.yaml]\ntests: [{intervall: 1s}]\n")
    status, told, _ = tickspan("test", "other.yaml")
    assert status == 1
    assert told.splitlines()[0] == "other.yaml:2 tests[0].intervall: unknown key; did you mean 'interval'?"
    assert told.splitlines()[1].startswith("none.yaml: cannot be read")


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("{", 1, "expected YAML"),
        ("a: 1\n---\nb: 2\n", 1, "expected one document, got 2"),
        (
            "tests: [{input_series: [{series: x_seconds_count, values: '0.5'}]}]\nrule_files: [h.yaml]\n",
            1,
            "whole",
        ),
    ],
)
def test_a_file_that_is_no_test_is_told(tickspan: Tickspan, folder: Path, text: str, status: int, told: str):
    (folder / "bad.yaml").write_text(text)
    (folder / "h.yaml").write_text(
        "metrics: {x: {kind: histogram, unit: s}}\nrules: [{name: H, metric: x, stat: p95, threshold: 1s}]\n"
    )
    found, _, complaint = tickspan("test", "bad.yaml")
    assert found == status
    assert told in complaint


def test_a_missing_file_and_a_missing_oracle_are_wrong_usage(tickspan: Tickspan):
    assert tickspan("test", "none.yaml") == (2, "", "tickspan alerts: none.yaml: No such file or directory\n")
    assert tickspan("test", "alerts_test.yaml", "--oracle", "nothing-like-it") == (
        2,
        "",
        "tickspan alerts: --oracle: there is no program nothing-like-it\n",
    )


def test_what_an_oracle_says_otherwise_is_told(tickspan: Tickspan, folder: Path):
    oracle = folder / "promtool"
    oracle.write_text("#!/bin/sh\necho $* && cat rules_0.yaml && exit 1\n")
    oracle.chmod(0o755)
    status, told, _ = tickspan("test", "alerts_test.yaml", "--oracle", str(oracle))
    assert status == 1
    assert told.startswith("alerts_test.yaml: promtool says otherwise:\ntest rules tests_0.yaml\n")
    assert [line.strip() for line in told.splitlines() if "alert:" in line] == ["- alert: FewTrades"]
    assert told.endswith("1 test, 0 failures\n")
