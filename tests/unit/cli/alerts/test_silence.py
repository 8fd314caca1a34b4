"""`tickspan alerts silence` and `status`: what they say, and their exit status."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tickspan.alerts.checkpoint import FILE, Checkpoint
from tickspan.cli.alerts.silence import until
from tickspan.cli.errors import CommandError
from tickspan.cli.main import main

ZONE = timezone(timedelta(hours=1))
NOW = datetime(2026, 11, 26, 17, 0, tzinfo=ZONE)


def silence(folder: Path, *arguments: str) -> int:
    return main(["alerts", "silence", "--directory", str(folder), *arguments])


def test_a_silence_is_made_listed_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert silence(tmp_path, 'alertname="SlowVenue"', "--until", "2h", "--comment", "deploy") == 0
    made = capsys.readouterr().out
    identifier = made.split()[0]
    assert made.endswith('alertname="SlowVenue": deploy\n')
    assert silence(tmp_path, "--list", "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["id"], listed["comment"]) == (identifier, "deploy")
    assert [silence(tmp_path, "--remove", identifier), silence(tmp_path, "--remove", identifier)] == [0, 1]
    assert capsys.readouterr().out == (
        f"removed\nno silence '{identifier}'; see 'tickspan alerts silence --list'\n"
    )
    assert silence(tmp_path, "--list") == 0
    assert capsys.readouterr().out == "no silences\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "expected one of MATCHERS, --list and --remove ID"),
        (["job=bot", "--list"], "expected one of MATCHERS, --list and --remove ID"),
        (["job=bot"], "expected --until T: a silence that never ends is a rule to remove"),
        (["job", "--until", "2h"], "expected matchers like alertname=\"SlowVenue\", got 'job'"),
        (
            ["job=bot", "--until", "soon"],
            "--until: expected '2h', '18:00' or '2026-12-24T18:00+01:00', got 'soon'",
        ),
        (["job=bot", "--until", "2020-01-01"], "expected a time to come, got one that is over"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
):
    assert silence(tmp_path, *arguments) == 2
    assert capsys.readouterr().err == f"tickspan alerts: {told}\n"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h30m", datetime(2026, 11, 26, 19, 30, tzinfo=ZONE)),
        ("18:00", datetime(2026, 11, 26, 18, 0, tzinfo=ZONE)),
        ("08:00", datetime(2026, 11, 27, 8, 0, tzinfo=ZONE)),
        ("2026-12-24T18:00", datetime(2026, 12, 24, 18, 0, tzinfo=ZONE)),
        ("2026-12-24T18:00Z", datetime(2026, 12, 24, 19, 0, tzinfo=ZONE)),
    ],
)
def test_a_silence_ends_at_a_moment_or_after_a_while(text: str, moment: datetime):
    assert until(text, NOW) == moment.timestamp()


def test_a_time_that_is_none_is_an_error():
    with pytest.raises(CommandError):
        until("25:00", NOW)


STATUS: dict[str, Any] = {
    "tier": "agent",
    "rules": 3,
    "trouble": "",
    "problems": {},
    "alerts": [
        {"rule": "SlowVenue", "labels": {"alertname": "SlowVenue"}, "state": "firing", "value": 0.2},
        {"rule": "Stale", "labels": {"alertname": "Stale", "job": "bot"}, "state": "pending", "value": None},
    ],
    "firing": [
        {
            "rule": "SlowVenue",
            "labels": {"alertname": "SlowVenue", "job": "bot"},
            "since_s": 1_700_000_000.0,
            "value": "200 ms",
            "evaluator": "process",
            "trace_id": "ab",
        }
    ],
    "delivery": {
        "channels": [{"name": "pager", "sent": 2, "dropped": 0, "trouble": "answered 503"}],
        "waiting": 1,
        "dropped": 0,
        "firing": 1,
    },
}


def test_status_tells_what_fires_and_whether_people_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    state = {"pid": 7, "rule_file": "alerts.yaml", "status": STATUS}
    Checkpoint(4_000_000_000.0, state).write(tmp_path / FILE)
    assert main(["alerts", "status", "--directory", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "agent 7: 3 rules of alerts.yaml",
        "firing  SlowVenue {job=bot} 200 ms since 2023-11-14 22:13:20 UTC (by process), trace ab",
        "pending Stale {job=bot} no data",
        "notifier pager: 2 sent, 0 refused: answered 503",
        "1 notices wait, 0 were dropped",
    ]


def test_status_of_nothing_says_what_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["alerts", "status", "--directory", str(tmp_path)]) == 1
    assert "no evaluator has left a word" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("listen", "told"),
    [
        ("4318", "--listen: expected HOST:PORT, got '4318'"),
        ("0.0.0.0:4318", "0.0.0.0 is open to other machines: expected TLS (--tls-cert) and --token-file"),
    ],
)
def test_a_gateway_that_must_not_listen_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], listen: str, told: str
):
    assert main(["alerts", "gateway", "--rules", str(tmp_path / "none.toml"), "--listen", listen]) == 2
    assert told in capsys.readouterr().err


def test_a_gateway_without_its_rule_file_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rules = tmp_path / "none.toml"
    assert main(["alerts", "gateway", "--rules", str(rules), "--listen", "127.0.0.1:0"]) == 2
    assert f"{rules}: cannot be read" in capsys.readouterr().err
