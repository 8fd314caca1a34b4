"""`tickspan alerts check`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Tickspan = Callable[..., tuple[int, str, str]]


def test_every_rule_is_told_with_its_evaluators_its_owner_and_how_soon_it_pages(tickspan: Tickspan):
    assert tickspan("check", "--tiers", "process,agent,gateway,prometheus") == (
        0,
        (
            "pages after  severity    scope       owner  evaluated by                         rule\n"
            "     11.1 s     error  process  prometheus  prometheus, gateway, agent, process  FewTrades\n"
            "       13 s   warning  service  prometheus  prometheus, gateway                  Lag\n"
            "2 rules, no problems\n"
        ),
        "",
    )


def test_problems_are_told_with_their_lines_and_fail(tickspan: Tickspan, folder: Path):
    (folder / "bad.yaml").write_text("rules:\n  - {name: A, metric: process.cpu.time, treshold: 3}\n")
    status, told, _ = tickspan("check", "bad.yaml", "alerts.yaml")
    assert status == 1
    assert [line for line in told.splitlines() if "treshold" in line] == [
        "bad.yaml:2 rules[0].treshold: unknown key; did you mean 'threshold'?"
    ]
    assert told.endswith("2 rules, 2 problems\n")


def test_the_answer_is_data_too(tickspan: Tickspan):
    status, told, _ = tickspan("check", "alerts.yaml", "--json", "--tiers", "agent")
    assert status == 0
    assert json.loads(told) == {
        "problems": [],
        "rules": [
            {
                "rule": "FewTrades",
                "file": "alerts.yaml",
                "severity": "error",
                "scope": "process",
                "tiers": ["agent"],
                "owner": "agent",
                "delay_s": 21.0,
            },
            {
                "rule": "Lag",
                "file": "alerts.yaml",
                "severity": "warning",
                "scope": "service",
                "tiers": ["agent"],
                "owner": "agent",
                "delay_s": 11.0,
            },
        ],
    }


def test_a_rule_that_nobody_evaluates_fails(tickspan: Tickspan):
    status, told, _ = tickspan("check", "--tiers", "process")
    assert status == 1
    assert told.splitlines()[2].split() == ["nobody", "warning", "service", "-", "-", "Lag"]


def test_without_a_rule_file_it_says_what_to_name(
    tickspan: Tickspan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    status, _, told = tickspan("check")
    assert (status, told) == (
        2,
        (
            "tickspan alerts: name a rule file, or set TICKSPAN_ALERTS_FILE: there is no alerts.toml and no"
            " alerts.yaml\n"
        ),
    )


def test_without_a_name_it_checks_what_a_program_here_would_read(tickspan: Tickspan, tmp_path: Path):
    rules = tmp_path / "risk.toml"
    rules.write_text(
        'version = 1\n[[rules]]\nname = "Slow"\nmetric = "db.client.operation.duration"\nstat = "p99"\n'
        'threshold = "0.5s"\n',
        encoding="utf-8",
    )
    (tmp_path / "tickspan.toml").write_text(f"[alerts]\nfile = '{rules}'\n", encoding="utf-8")
    status, told, _ = tickspan("check")
    assert (status, told.splitlines()[-1]) == (0, "1 rule, no problems")


def test_an_unknown_tier_is_wrong_usage(tickspan: Tickspan):
    status, _, told = tickspan("check", "--tiers", "process,cloud")
    assert (status, told) == (
        2,
        "tickspan alerts: --tiers: expected some of process, agent, gateway, prometheus, got 'cloud'\n",
    )


def test_the_default_pack_is_fine(tickspan: Tickspan):
    status, told, _ = tickspan("check", "default")
    assert (status, told.splitlines()[-1].partition(" ")[2]) == (0, "rules, no problems")
