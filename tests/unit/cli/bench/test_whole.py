"""`tickspan bench` itself: rows that need no server, and those for which one is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tickspan.alerts.file import read_rules
from tickspan.cli import main
from tickspan.cli.bench import place, whole
from tickspan.cli.bench.targets import TARGETS

NOBODY = "redis://user:hush@127.0.0.1:1/0"


def no_psycopg2(name: str) -> str | None:
    return None if name == "psycopg2" else name


def test_rows_are_measured_without_an_action_and_only_those_that_are_named(
    capsys: pytest.CaptureFixture[str],
):
    status = main(["bench", "--only", "sample", "--only", "memory", "--seconds", "0.01", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["target"]) for row in told["rows"]] == [
        ("memory", "below 1 ms, 1,000,000 a second"),
        ("sample", "below 10 ms, 100 a second"),
    ]
    assert status == told["exit_status"] == int(any(row["standing"] == "missed" for row in told["rows"]))
    assert told["where"]["empty_function_per_second"] > 0


def test_targets_are_rules_of_the_default_pack_that_their_tests_prove(capsys: pytest.CaptureFixture[str]):
    only = [word for name in TARGETS for word in ("--only", name)]
    assert main(["bench", *only, "--seconds", "0.01", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rules, _ = read_rules("default")
    assert {row["standing"] for row in told["rows"]} == {"watched"}
    assert [row["found"] for row in told["rows"]] == [f"rule {target.rule}" for target in TARGETS.values()]
    assert {target.rule for target in TARGETS.values()} - {rule.name for rule in rules.rules} == set()


def test_without_a_redis_there_is_a_row_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(place, "_REDIS_PORT", 1)
    assert main(["bench", "--only", "redis", "--only", "api", "--seconds", "0.01"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert any(row.split()[:3] == ["not", "measured", "redis"] and place.NO_REDIS in row for row in rows)


def test_a_redis_that_is_named_and_does_not_answer_is_an_error(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "--only", "redis", "--redis", NOBODY, "--seconds", "0.01"]) == 2
    said = capsys.readouterr().err
    assert "does not answer (ConnectionError); start a server, or name one with --redis" in said
    assert "hush" not in said


def test_nothing_that_could_be_measured_is_status_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(place, "_REDIS_PORT", 1)
    assert main(["bench", "all", "--only", "redis", "--seconds", "0.01"]) == 2
    assert place.NO_REDIS in capsys.readouterr().out


def test_a_url_without_a_driver_gets_the_one_that_is_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(place, "find_spec", no_psycopg2)
    assert place.postgresql_url("postgresql://desk@db/trades") == "postgresql+psycopg://desk@db/trades"
    assert place.postgresql_url("postgresql+asyncpg://db/trades") == "postgresql+asyncpg://db/trades"


def test_the_url_of_the_environment_is_measured(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://db/trades")
    assert place.postgresql_url(None) == "postgresql+psycopg://db/trades"
    assert place.postgresql_url("postgresql+psycopg://db/others") == "postgresql+psycopg://db/others"


def test_every_row_has_a_name_a_target_and_a_measure():
    assert [*whole.ROWS] == [
        "redis",
        "sqlite",
        "postgresql",
        "memory",
        "transaction",
        "sample",
        "api",
        "query",
        "process-memory",
        "cache-hits",
        "cpu",
    ]
