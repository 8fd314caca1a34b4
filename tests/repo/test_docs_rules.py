"""The rule of the how-to has no problem, and fires when its test says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.blocks import blocks_of
from tickspan.cli import main


@pytest.fixture(autouse=True)
def _files(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the how-to lie in the working directory."""
    for block in blocks_of(root / "docs/how-to/write-a-rule.md"):
        name = re.match(r"# (\w+\.yaml)\n", block.text)
        if name is not None:
            (tmp_path / name[1]).write_text(block.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def test_the_rule_has_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main(["alerts", "check", "desk.yaml"]), capsys.readouterr().out.splitlines()[-1]) == (
        0,
        "1 rule, no problems",
    )


def test_it_is_quiet_and_fires_when_its_test_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main(["alerts", "test", "desk_test.yaml"]), capsys.readouterr().out) == (
        0,
        "1 test, 0 failures\n",
    )


def test_a_test_that_expects_too_much_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "desk_test.yaml"
    file.write_text(
        file.read_text().replace(
            "eval_time: 8m, alertname: ManyRejects", "eval_time: 16m, alertname: ManyRejects"
        )
    )
    assert main(["alerts", "test", "desk_test.yaml"]) == 1
    assert "1 failure" in capsys.readouterr().out
